"""Full-text search over messages: an index that its own drain keeps, for it costs a send three times the rest.

SQLite has FTS5's; PostgreSQL a table of `tsvector`s, of words as `models.chat.search_tokens` sees them. Both take letters
without their accents.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.chat import search_tokens
from models.store.database import affected_rows, decode_text, engine, execute, multi_index_read, placeholders, rows, values_cte

INDEX_DDL = {
    "sqlite": ["CREATE VIRTUAL TABLE message_search USING fts5(body, tokenize='unicode61 remove_diacritics 2')"],
    "postgresql": [
        "CREATE TABLE message_search (rowid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX message_search_words ON message_search USING gin (words)",
    ],
}
QUERY_WORDS = 16


def index(ids: Sequence[int]) -> int:
    """Indexes messages as they stand now; a deleted one is left out. Returns how many were indexed."""
    if engine().name == "sqlite":
        execute(f"DELETE FROM message_search WHERE rowid IN ({placeholders(len(ids))})", ids)
        not_deleted = f"SELECT id, body FROM messages WHERE deleted_ms IS NULL AND id IN ({placeholders(len(ids))})"
        return affected_rows(f"INSERT INTO message_search (rowid, body) {not_deleted}", ids)
    # A message that is being changed at this moment is passed over: its event has it indexed anew, or it is deleted. Else its
    # old text could be put back here after its deletion has looked for it. And who never waits for a message takes part in no
    # deadlock.
    there = rows(f"SELECT id, body, deleted_ms FROM messages WHERE id IN ({placeholders(len(ids))}) FOR SHARE SKIP LOCKED", ids)
    found = [(i, body) for i, body, deleted_ms in there if deleted_ms is None]
    if not found:
        return 0
    execute(f"DELETE FROM message_search WHERE rowid IN ({placeholders(len(found))})", [i for i, _ in found])
    return affected_rows(
        values_cte("rowid, words", len(found))
        + "INSERT INTO message_search (rowid, words) SELECT rowid, words::tsvector FROM input",
        [v for i, body in found for v in (i, search_tokens.vector(decode_text(body)))],
    )


def unindex(message: int) -> None:
    """Takes one message's text out of the index, in the transaction that has changed it."""
    execute("DELETE FROM message_search WHERE rowid=?", (message,))


def find(user: int, text: str, before: int | None, limit: int) -> list[int]:
    """Ids of messages of the user's conversations that hold all the words (the last as a prefix), newest first."""
    parts = text.split()[:QUERY_WORDS]
    if engine().name == "sqlite":
        condition = "message_search MATCH ?"
        query = " ".join('"{}"'.format(part.replace('"', '""')) for part in parts) + "*"
    else:
        condition = "s.words @@ ?::tsquery"
        query = search_tokens.query(parts)
    if not parts or not query:
        return []
    with multi_index_read():
        found = rows(
            "SELECT s.rowid FROM message_search s JOIN messages x ON x.id=s.rowid "
            "JOIN memberships m ON m.conversation_id=x.conversation_id AND m.user_id=? AND m.to_event IS NULL "
            f"WHERE {condition} AND s.rowid<? ORDER BY s.rowid DESC LIMIT ?",
            (user, query, before if before is not None else 2**62, limit),
        )
    return [i for (i,) in found]
