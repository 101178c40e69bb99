"""How steps become HTTP requests, and responses answers: what both drivers do the same way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import httpx

from bellwire_client.errors import UnreachableError
from bellwire_client.steps import Answer, Request

CONNECT_WITHIN_S = 10.0
REPORT_WITHIN_S = 2.0  # a report is worth no wait
API = "/api/v1"


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Raises UnreachableError for whatever can happen to a connection."""
    try:
        yield
    except httpx.TransportError as error:
        raise UnreachableError(f"{url} does not answer: {error or type(error).__name__}") from error


def headers_of(token: str | None) -> dict[str, str]:
    """Who calls."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def query_of(step: Request) -> dict[str, str | int]:
    """The query, without what is not given."""
    return {name: value for name, value in step.params.items() if value is not None}


def request_of(http: httpx.Client | httpx.AsyncClient, url: str, token: str | None, step: Request) -> httpx.Request:
    """The request of a step."""
    return http.build_request(
        step.method,
        url + API + step.path,
        params=query_of(step),
        json=step.body,
        headers=headers_of(token),
        timeout=httpx.Timeout(step.timeout_s, connect=CONNECT_WITHIN_S),
    )


def answer_of(response: httpx.Response) -> Answer:
    """The answer of a response that was read."""
    try:
        body = response.json()
    except (JSONDecodeError, UnicodeDecodeError):  # a proxy's page, or nothing
        body = None
    return Answer(response.status_code, response.headers, body)
