"""Conversion of steps to HTTP requests and of responses to answers, for both clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from urllib.parse import quote

import httpx

from bellwire_client.errors import UnreachableError
from bellwire_client.shapes import UserRef
from bellwire_client.steps import Answer, Request
from bellwire_client.transfers import Outgoing

CONNECT_TIMEOUT_S = 10.0
REPORT_TIMEOUT_S = 2.0  # a report is not worth a long wait
API = "/api/v1"


@contextmanager
def connection_errors(url: str) -> Iterator[None]:
    """Turn errors of a connection into UnreachableError."""
    try:
        yield
    except httpx.TransportError as error:
        raise UnreachableError(f"{url} does not answer: {error or type(error).__name__}") from error


def headers_of(token: str | None, acting_as: UserRef | None = None) -> dict[str, str]:
    """Return the headers with the token, and the user who is acted for."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return headers if acting_as is None else headers | {"Bellwire-As": quote(str(acting_as), safe=":")}


def query_of(step: Request) -> dict[str, str | int]:
    """Return the query without parameters that are None."""
    return {name: value for name, value in step.params.items() if value is not None}


def request_of(
    http: httpx.Client | httpx.AsyncClient, url: str, token: str | None, step: Request, acting_as: UserRef | None = None
) -> httpx.Request:
    """Return the HTTP request for a step."""
    body = step.body
    if isinstance(body, Outgoing):
        body = body.awaited() if isinstance(http, httpx.AsyncClient) else body.blocking()
    is_encoded = body is not step.body or isinstance(body, bytes)
    return http.build_request(
        step.method,
        url + API + step.path,
        params=query_of(step),
        content=body if is_encoded else None,
        json=None if is_encoded else body,
        headers={**headers_of(token, acting_as), **step.headers},
        timeout=httpx.Timeout(step.timeout_s, connect=CONNECT_TIMEOUT_S),
    )


def answer_of(response: httpx.Response) -> Answer:
    """Return the answer for a response whose body was read."""
    try:
        body = response.json()
    except (JSONDecodeError, UnicodeDecodeError):  # the page of a proxy, or an empty body
        body = None
    return Answer(response.status_code, response.headers, body)
