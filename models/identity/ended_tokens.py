"""The host's tokens that were ended before their time. Each still verifies, so its hash stays until it would have ended.

A deleted account's tokens may be unknown here, and last for any time: the hash of its external id stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import peewee

from models.store.database import ID_MAX, Base, affected_rows, execute, placeholders, rows

KEEP_MS = 15 * 60 * 1000  # after its end, for clocks that differ: longer than the largest BELLWIRE_JWT_LEEWAY_S


class EndedHostToken(Base):
    """A token of the host's that must not come back. With `issued_ms` all tokens of an external id, whose hash it is, that were
    issued up to then."""

    hash = peewee.CharField(max_length=64, primary_key=True)
    expires_ms = peewee.BigIntegerField(index=True)
    issued_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "ended_host_tokens"


def record(tokens: Sequence[int]) -> None:
    """Remember those of these tokens that the host signed. Raw SQL: log-ins run it under the log's lock."""
    execute(
        "INSERT INTO ended_host_tokens (hash, expires_ms) SELECT hash, expires_ms FROM tokens "
        f"WHERE id IN ({placeholders(len(tokens))}) AND issued_ms IS NOT NULL ON CONFLICT DO NOTHING",
        tokens,
    )


def record_user(external_id: str, issued_ms: int) -> None:
    """Remember for good that the tokens of an external id ended that were issued up to a time in Unix ms."""
    row = EndedHostToken.insert(hash=_user_hash(external_id), expires_ms=ID_MAX, issued_ms=issued_ms)
    latest = {EndedHostToken.issued_ms: peewee.EXCLUDED.issued_ms}
    row.on_conflict(
        conflict_target=[EndedHostToken.hash], update=latest, where=EndedHostToken.issued_ms < peewee.EXCLUDED.issued_ms
    ).as_rowcount().execute()


def _user_hash(external_id: str) -> str:
    return hashlib.sha256(f"ext:{external_id}".encode()).hexdigest()


def ended(hashed: str, external_id: str) -> tuple[bool, int]:
    """Return whether the token of this hash was ended before its time, and up to when, in Unix ms, an external id's tokens must be
    issued to have ended: -1 if no account with it was deleted."""
    of_user = _user_hash(external_id)
    found = dict(rows("SELECT hash, issued_ms FROM ended_host_tokens WHERE hash IN (?,?)", (hashed, of_user)))
    return hashed in found, int(found.get(of_user, -1))


def trim(now_ms: int, limit: int) -> int:
    """Delete tokens, at most `limit`, that would have ended by now, and return their number."""
    sql = "DELETE FROM ended_host_tokens WHERE hash IN (SELECT hash FROM ended_host_tokens WHERE expires_ms<? LIMIT ?)"
    return affected_rows(sql, (now_ms - KEEP_MS, limit))
