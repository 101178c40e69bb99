"""Refusals: what a verb says when it will not do a thing. The gateway turns each into an RFC 9457 answer."""

from __future__ import annotations


class RefusedError(Exception):
    """A verb's refusal. `slug` is stable and names the problem, `detail` is for people."""

    slug = "refused"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.slug)
        self.detail = detail


class NotFoundError(RefusedError):
    """It is not there, or not the caller's to see: the two are never told apart."""

    slug = "not-found"


class NotMemberError(NotFoundError):
    """The person named in the path is no member of the conversation."""

    slug = "not-a-member"


class ForbiddenError(RefusedError):
    """The caller may see it, but not do this to it."""

    slug = "forbidden"


class ConflictError(RefusedError):
    """The state of things does not admit it."""

    slug = "conflict"


class DeadTokenError(RefusedError):
    """The token was revoked, or never was."""

    slug = "unauthorized"


class SuspendedError(RefusedError):
    """The account is suspended."""

    slug = "suspended"


class InvalidError(RefusedError):
    """Fields of the request are wrong. `errors` holds (field, message) pairs."""

    slug = "invalid"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors))
        self.errors = list(errors)


class StoreDownError(Exception):
    """The store is full or down, or too much waits for it already. Nothing was kept; the caller may try again."""

    slug = "unavailable"


class ExpiredError(Exception):
    """A cursor is of another epoch, past the log's head, or older than what the log keeps."""

    slug = "cursor-expired"
