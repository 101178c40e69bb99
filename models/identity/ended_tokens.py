"""The host's tokens that were ended before their time. Each still verifies, so its hash stays until it would have ended."""

from __future__ import annotations

from collections.abc import Sequence

import peewee

from models.store.database import Base, affected_rows, execute, placeholders, rows

KEEP_MS = 15 * 60 * 1000  # after its end, for clocks that differ: longer than the largest BELLWIRE_JWT_LEEWAY_S


class EndedHostToken(Base):
    """One token of the host's that must not come back."""

    hash = peewee.CharField(max_length=64, primary_key=True)
    expires_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "ended_host_tokens"


def record(tokens: Sequence[int]) -> None:
    """Remember those of these tokens that the host signed. Raw SQL: log-ins run it under the log's lock."""
    execute(
        "INSERT INTO ended_host_tokens (hash, expires_ms) SELECT hash, expires_ms FROM tokens "
        f"WHERE id IN ({placeholders(len(tokens))}) AND issued_ms IS NOT NULL ON CONFLICT DO NOTHING",
        tokens,
    )


def has_ended(hashed: str) -> bool:
    """Return whether the token of this hash was ended before its time."""
    return bool(rows("SELECT 1 FROM ended_host_tokens WHERE hash=?", (hashed,)))


def trim(now_ms: int, limit: int) -> int:
    """Delete tokens, at most `limit`, that would have ended by now, and return their number."""
    sql = "DELETE FROM ended_host_tokens WHERE hash IN (SELECT hash FROM ended_host_tokens WHERE expires_ms<? LIMIT ?)"
    return affected_rows(sql, (now_ms - KEEP_MS, limit))
