"""External ids: what the product that embeds Bellwire, the host, calls its users. `ext:42` in a request is the user with the
external id 42."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from models.identity.user import EXTERNAL_ID_CHARS, User
from models.store.database import ID_MAX, chunks, fetch_rows
from models.store.text_rules import is_displayable

PREFIX = "ext:"
HASHED_PREFIX = "sha256:"
NOBODY = ID_MAX - 1  # the id that stands for an unknown external id: no user has it
EXPECTED = f"must be 1 to {EXTERNAL_ID_CHARS} printable characters without spaces"
MAX_IDS_PER_QUERY = 500


def is_valid(external_id: str) -> bool:
    """Return whether an account may have this external id."""
    return len(external_id) <= EXTERNAL_ID_CHARS and is_displayable(external_id) and external_id.split() == [external_id]


def hashed(external_id: str) -> str:
    """Return what stands for the external id of a deleted user: it tells nobody who had it, but that it was there."""
    return HASHED_PREFIX + hashlib.sha256(external_id.encode()).hexdigest()


def find(external_ids: Iterable[str]) -> dict[str, int]:
    """Return the users of any status who have one of these external ids, by it."""
    found: dict[str, int] = {}
    for part in chunks(dict.fromkeys(external_ids), MAX_IDS_PER_QUERY):
        found.update(fetch_rows(User.select(User.external_id, User.id).where(User.external_id.in_(list(part)))))
    return found


def resolve(references: Sequence[int | str]) -> list[int]:
    """Return the ids of users that a request names by id or as `ext:EXTERNAL_ID`. Unknown external ids become NOBODY, which is
    answered as an unknown id is."""
    known = find(reference.removeprefix(PREFIX) for reference in references if isinstance(reference, str))
    return [known.get(r.removeprefix(PREFIX), NOBODY) if isinstance(r, str) else r for r in references]
