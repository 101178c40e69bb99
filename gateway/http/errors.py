"""The catalogue of errors: the HTTP status and body of each (RFC 9457, `application/problem+json`)."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import msgspec
from tornado.web import HTTPError

from models.store.errors import ActingError, ExpiredError, FullError, InvalidError, LimitedError, RefusedError, StoreDownError

STATUS = {
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "suspended": 403,
    "blocked": 403,
    "xsrf": 403,
    "not-found": 404,
    "not-a-member": 404,
    "method-not-allowed": 405,
    "conflict": 409,
    "cursor-expired": 410,
    "too-large": 413,
    "uri-too-long": 414,
    "unsupported-media-type": 415,
    "range-not-satisfiable": 416,
    "invalid": 422,
    "bellwire-as": 422,
    "rate-limited": 429,
    "headers-too-large": 431,
    "quota-exceeded": 429,
    "internal": 500,
    "unavailable": 503,
    "insufficient-storage": 507,
}
SLUGS = {status: slug for slug, status in reversed(STATUS.items())}
RETRY_AFTER_S = 1
TITLES = {
    413: "Request Entity Too Large",
    414: "URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}  # Python 3.13 has other phrases


class ProblemError(Exception):
    """An error answer: a slug of STATUS, a detail for people, and further fields or headers."""

    def __init__(self, slug: str, detail: str = "", headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail or slug)
        self.slug = slug
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.slug]

    @property
    def title(self) -> str:
        """The status in words."""
        return TITLES.get(self.status) or HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        """The problem document."""
        title = self.title
        body = {"type": f"/problems/{self.slug}", "title": title, "status": self.status, "detail": self.detail or title}
        return msgspec.json.encode({**body, **self.members})


def problem_of(error: BaseException | None, default: int) -> ProblemError:
    """The error answer to an exception. An unexpected one is answered 500, without any detail."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidError):
        return ProblemError("invalid", str(error), errors=[{"field": f, "message": m} for f, m in error.errors])
    if isinstance(error, ActingError):
        wrong = [{"field": "Bellwire-As", "message": error.detail}]
        return ProblemError(error.slug, f"Bellwire-As: {error.detail}", errors=wrong)
    if isinstance(error, LimitedError):
        return ProblemError(error.slug, error.detail, {"Retry-After": str(math.ceil(error.retry_after_ms / 1000))})
    if isinstance(error, RefusedError):
        detail = "" if error.slug == "internal" or error.detail == error.slug else error.detail
        return ProblemError(error.slug, detail)
    if isinstance(error, StoreDownError):
        return ProblemError("unavailable", "the store is down or full: try again", {"Retry-After": str(RETRY_AFTER_S)})
    if isinstance(error, FullError):
        return ProblemError(error.slug, str(error))
    if isinstance(error, ExpiredError):
        return ProblemError("cursor-expired", "load the state again")
    if isinstance(error, HTTPError):
        return ProblemError(SLUGS.get(error.status_code, "malformed" if error.status_code < 500 else "internal"))
    return ProblemError(SLUGS.get(default, "internal"))
