"""Errors by which the models refuse an operation. The gateway turns each into an RFC 9457 answer."""

from __future__ import annotations


class RefusedError(Exception):
    """The base class. `slug` is stable and names the problem; `detail` is a text for people."""

    slug = "refused"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.slug)
        self.detail = detail


class NotFoundError(RefusedError):
    """The object does not exist, or the caller may not see it. The answer is the same for both."""

    slug = "not-found"


class NotMemberError(NotFoundError):
    """The user in the path is not a member of the conversation."""

    slug = "not-a-member"


class ForbiddenError(RefusedError):
    """The caller may see the object, but may not do this with it."""

    slug = "forbidden"


class BlockedError(RefusedError):
    """The other user of a direct conversation blocks the caller."""

    slug = "blocked"

    def __init__(self) -> None:
        super().__init__("this person cannot be written to")


class ConflictError(RefusedError):
    """The current state does not allow the operation."""

    slug = "conflict"


class DeadTokenError(RefusedError):
    """The token was revoked or never existed."""

    slug = "unauthorized"


class SuspendedError(RefusedError):
    """The account is suspended."""

    slug = "suspended"


class ActingError(RefusedError):
    """The user whom an admin acts for is unknown or not active."""

    slug = "bellwire-as"


class InvalidError(RefusedError):
    """Fields of the request are invalid. `errors` is a list of (field, message)."""

    slug = "invalid"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors))
        self.errors = list(errors)


class LimitedError(RefusedError):
    """The caller did this too often. It is possible again after `retry_after_ms`."""

    slug = "rate-limited"

    def __init__(self, detail: str, retry_after_ms: int) -> None:
        super().__init__(detail)
        self.retry_after_ms = retry_after_ms


class StoreDownError(Exception):
    """The store is full or down, or too many operations are waiting for it. Nothing was written; the caller may retry."""

    slug = "unavailable"


class FullError(Exception):
    """There is no space left for the bytes of a file. Nothing was written; sends go on."""

    slug = "insufficient-storage"


class ExpiredError(Exception):
    """A cursor has another epoch, is past the log's head, or is older than the events that are kept."""

    slug = "cursor-expired"
