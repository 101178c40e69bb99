"""What can go wrong with a call, as exceptions."""

from __future__ import annotations

from typing import NamedTuple


class FieldError(NamedTuple):
    """A field that a request had wrong, and what is allowed."""

    field: str
    message: str


class BellwireError(Exception):
    """Whatever goes wrong with a call."""


class UnreachableError(BellwireError):
    """No answer came: the server is not there, or the connection broke. What was asked may have been done."""


class UnexpectedAnswerError(BellwireError):
    """An answer came that Bellwire would not give: something else listens there."""


class ProblemError(BellwireError):
    """The server refused (RFC 9457).

    `slug` names the reason and is stable (`not-a-member`; empty when the answer came from something before the server), `status` is
    HTTP's, `detail` is for people, `errors` are the fields of a 422, `retry_after_s` the seconds that the server wants to be left
    alone, or None.
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
    """The token is missing or dead, or the password is wrong: log in (401)."""
