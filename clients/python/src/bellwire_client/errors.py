"""The exceptions that calls raise."""

from __future__ import annotations

from typing import NamedTuple


class FieldError(NamedTuple):
    """A field of a request that is not valid, and the values that are."""

    field: str
    message: str


class BellwireError(Exception):
    """The base class of all errors of a call."""


class UnreachableError(BellwireError):
    """There was no answer: the server cannot be reached, or the connection broke. The call may have been performed."""


class UnexpectedAnswerError(BellwireError):
    """The answer is not one of Bellwire: the address may be wrong."""


class ProblemError(BellwireError):
    """The server refused (RFC 9457).

    `status` is the HTTP status. `slug` is a stable name of the reason, such as `not-a-member`; it is empty if the answer came
    from a proxy. `detail` is a text for people, `errors` are the fields of a 422, `retry_after_s` is the requested wait, or None.
    """

    def __init__(
        self, status: int, slug: str, detail: str, errors: tuple[FieldError, ...] = (), retry_after_s: float | None = None
    ) -> None:
        fields = "; ".join(f"{error.field}: {error.message}" for error in errors)
        super().__init__(f"{status} {slug}: {fields or detail}")
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s


class UnauthorizedError(ProblemError):
    """The token is missing or no longer valid, or the password is wrong (401)."""


class NotFoundError(ProblemError):
    """The conversation, message or person of the call does not exist for the caller (404): it was deleted, left or suspended."""
