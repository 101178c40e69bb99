"""Acting for somebody: whom an admin may do a call for. Raw SQL: every such call runs it, sends under the log's lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from models.identity import external_id
from models.identity import user as users
from models.identity.external_id import PREFIX
from models.identity.user import UserView
from models.store.database import placeholders, rows
from models.store.errors import ActingError, NotFoundError

MAX_ID_DIGITS = 16
UNKNOWN = "the user is unknown"
INACTIVE = "the user is {}"


class ActedFor(NamedTuple):
    """A user who is acted for."""

    id: int
    role: str
    status: str
    bot: bool


def find_all(references: Sequence[str]) -> dict[str, ActedFor | ActingError]:
    """Return the active user of each reference, or why there is none. It is an id, or `ext:` and an external id, as it is or
    percent-encoded."""
    keys = {reference: _keys_of(reference) for reference in references}
    all_keys = [key for some in keys.values() for key in some]
    found: dict[int | str, ActedFor] = {
        **_find("id", [key for key in all_keys if isinstance(key, int)]),
        **_find("external_id", [key for key in all_keys if isinstance(key, str)]),
    }
    return {reference: _active(some, found) for reference, some in keys.items()}


def _keys_of(reference: str) -> list[int | str]:
    if reference.startswith(PREFIX):
        names = [name.removeprefix(PREFIX) for name in (reference, unquote(reference))]
        return [name for name in names if external_id.is_valid(name)]
    is_id = reference.isascii() and reference.isdigit() and len(reference) <= MAX_ID_DIGITS
    return [int(reference)] if is_id else []


def _find(column: str, keys: Sequence[int | str]) -> dict[int | str, ActedFor]:
    sql = f"SELECT {column}, id, role, status, coalesce(bot, FALSE) FROM users WHERE {column} IN ({placeholders(len(keys))})"
    return {key: ActedFor(user, role, status, bool(bot)) for key, user, role, status, bot in (rows(sql, keys) if keys else ())}


def _active(keys: Sequence[int | str], found: dict[int | str, ActedFor]) -> ActedFor | ActingError:
    if not keys:
        return ActingError("must be a user id, or `ext:` and an external id")
    user = next((found[key] for key in keys if key in found), None)
    if user is None or user.status == "deleted":
        return ActingError(UNKNOWN)
    return user if user.status == "active" else ActingError(INACTIVE.format(user.status))


def active_users(users: Sequence[int]) -> set[int]:
    """Return those of these users, a batch's, who are active."""
    return {user for (user,) in rows(f"SELECT id FROM users WHERE id IN ({placeholders(len(users))}) AND status='active'", users)}


def require_active(user: int) -> UserView:
    """Return a user. Raises ActingError for one who is unknown or not active."""
    try:
        found = users.kept_view(user)
    except NotFoundError:
        raise ActingError(UNKNOWN) from None
    if found.status != "active":
        raise ActingError(INACTIVE.format(found.status))
    return found
