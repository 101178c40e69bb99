"""Acting for somebody: whom an admin may do a call for."""

from __future__ import annotations

from urllib.parse import unquote

from models.identity import external_id
from models.identity import user as users
from models.identity.external_id import PREFIX
from models.identity.user import UserView
from models.store.errors import ActingError, NotFoundError

MAX_ID_DIGITS = 16


def find(reference: str) -> UserView:
    """Return the active user of an id, or of `ext:` and an external id, as it is or percent-encoded. Raises ActingError."""
    if reference.startswith(PREFIX):
        names = [name.removeprefix(PREFIX) for name in (reference, unquote(reference))]
        found = external_id.find(names)
        return require_active(next((found[name] for name in names if name in found), external_id.NOBODY))
    if not (reference.isascii() and reference.isdigit() and len(reference) <= MAX_ID_DIGITS):
        raise ActingError("must be a user id, or `ext:` and an external id")
    return require_active(int(reference))


def require_active(user: int) -> UserView:
    """Return a user. Raises ActingError for one who is unknown or not active."""
    try:
        found = users.kept_view(user)
    except NotFoundError:
        raise ActingError("the user is unknown") from None
    if found.status != "active":
        raise ActingError(f"the user is {found.status}")
    return found
