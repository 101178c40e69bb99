"""Full-text search over messages: an index that its own drain keeps, for it costs a send three times the rest."""

from __future__ import annotations

from collections.abc import Sequence

from models.database import execute, marks, rows

INDEX_DDL = "CREATE VIRTUAL TABLE message_search USING fts5(body, tokenize='unicode61 remove_diacritics 2')"
QUERY_WORDS = 16


def index(ids: Sequence[int]) -> int:
    """Indexes messages as they stand now; a deleted one is left out. Returns how many were indexed."""
    execute(f"DELETE FROM message_search WHERE rowid IN ({marks(len(ids))})", ids)
    cursor = execute(
        "INSERT INTO message_search (rowid, body) SELECT id, body FROM messages "
        f"WHERE deleted_ms IS NULL AND id IN ({marks(len(ids))})",
        ids,
    )
    return int(cursor.rowcount)


def forget(message: int) -> None:
    """Takes one message's text out of the index, in the transaction that changes it."""
    execute("DELETE FROM message_search WHERE rowid=?", (message,))


def find(user: int, text: str, before: int | None, limit: int) -> list[int]:
    """Ids of messages of the user's conversations that hold all the words (the last as a prefix), newest first."""
    words = [w.replace('"', '""') for w in text.split()][:QUERY_WORDS]
    if not words:
        return []
    query = " ".join(f'"{w}"' for w in words) + "*"
    found = rows(
        "SELECT s.rowid FROM message_search s JOIN messages x ON x.id=s.rowid "
        "JOIN memberships m ON m.conversation_id=x.conversation_id AND m.user_id=? AND m.to_event IS NULL "
        "WHERE message_search MATCH ? AND s.rowid<? ORDER BY s.rowid DESC LIMIT ?",
        (user, query, before if before is not None else 2**62, limit),
    )
    return [i for (i,) in found]
