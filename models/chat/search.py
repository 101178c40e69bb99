"""Full-text search over messages. A drain of its own keeps the index up to date, since indexing costs three times as
much as the rest of a send.

On SQLite the index is an FTS5 table, on PostgreSQL a table of `tsvector` values. Both have the words that
`models.chat.search_tokens` makes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from models.chat import search_query, search_scope, search_tokens
from models.chat.search_scope import ANY, Scope, SearchFilter, condition
from models.files.file import names_of
from models.log.event import Transaction
from models.store import facts
from models.store.database import (
    decode_text,
    engine,
    execute,
    multi_index_read,
    placeholders,
    rows,
    values_cte,
)
from models.store.due import is_due
from models.store.facts import Fact

INDEX_DDL = {
    "sqlite": ["CREATE VIRTUAL TABLE message_search USING fts5(body, tokenize='unicode61 remove_diacritics 2')"],
    "postgresql": [
        "CREATE TABLE message_search (rowid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX message_search_words ON message_search USING gin (words)",
    ],
}
REINDEXED = "search_reindexed"  # the fact `message:until_ms`: how far messages are indexed anew, and the time to end that
ERASED = "search_erased"  # the fact in ms: when the words of all texts that were deleted before had left SQLite's index
MAX_WORDS_LENGTH = 20_000  # in code points, of one transaction: 5 ms under SQLite's write lock, 25 ms for one of 20,000 other words
MAX_MESSAGES_LISTED = 5_000  # of a caller: listed in 1 ms, and only these are searched
FIRST_WINDOW = 20_000  # ids of messages: the newest, among which most words are found often enough
WINDOW_FACTOR = 4  # few windows, since each reads the words of the query anew
MAX_SEARCH_S = 0.25  # then no further window is searched
MAX_PAGES_MERGED = 500  # of 4 KiB, in one transaction
MIN_CHANGES_OF_A_MERGE = 2  # fewer mean that nothing was left to merge (FTS5's documentation, section 6.8)


class Entry(NamedTuple):
    """A message's text as it was read, and its words as the store's index takes them."""

    message: int
    body: str
    words: str


class StoredText(NamedTuple):
    """A message's text in its row, and how many files the message has."""

    body: str
    files: int | None


def batches(ids: Sequence[int]) -> Iterator[list[Entry]]:
    """Read the texts of messages, except deleted ones, and yield entries for `index`: as many as one transaction may write.

    A message is found by the names of its files, too. Never advanced inside a transaction, since finding the words of a long text
    takes 0.1 s.
    """
    batch: list[Entry] = []
    length = 0
    texts = _texts(ids)
    names = names_of([message for message, text in texts.items() if text.files])
    for message, (body, _) in texts.items():
        words = _words("\n".join((decode_text(body), *names.get(message, ()))))
        if batch and length + len(words) > MAX_WORDS_LENGTH:
            yield batch
            batch, length = [], 0
        batch.append(Entry(message, body, words))
        length += len(words)
    if batch:
        yield batch


def _texts(ids: Sequence[int], lock: str = "") -> dict[int, StoredText]:
    # Raw: row locks, and this module is imported by that of the model.
    found = rows(f"SELECT id, body, files, deleted_ms FROM messages WHERE id IN ({placeholders(len(ids))}) ORDER BY id{lock}", ids)
    return {id_: StoredText(body, files) for id_, body, files, deleted_ms in found if deleted_ms is None}


def _words(text: str) -> str:
    return " ".join(search_tokens.split(text)) if engine().name == "sqlite" else search_tokens.vector(text)


def index(batch: Sequence[Entry]) -> int:
    """Index the entries whose messages still have that text, inside a transaction; returns how many.

    A message that was changed since is left out: the event of an edit makes the drain index it again, and a deletion has removed
    its words. So is, on PostgreSQL, one that another transaction is changing: waiting for it could deadlock.
    """
    is_sqlite = engine().name == "sqlite"
    texts = _texts([entry.message for entry in batch], "" if is_sqlite else " FOR SHARE SKIP LOCKED")
    present = [entry for entry in batch if entry.message in texts and texts[entry.message].body == entry.body]
    if not present:
        return 0
    # Raw: full text.
    column, value = ("body", "words") if is_sqlite else ("words", "words::tsvector")
    verb, replaced = (
        ("INSERT OR REPLACE", "") if is_sqlite else ("INSERT", " ON CONFLICT (rowid) DO UPDATE SET words=excluded.words")
    )
    execute(
        values_cte("rowid, words", len(present))
        + f"{verb} INTO message_search (rowid, {column}) SELECT rowid, {value} FROM input{replaced}",
        [value for entry in present for value in (entry.message, entry.words)],
    )
    return len(present)


def next_to_reindex(limit: int) -> list[int]:
    """Return the next few messages that an earlier version has indexed by other words."""
    reindexed, _ = _reindexing()
    if reindexed is None:
        return []
    # Raw: this module is imported by that of the model.
    return [id_ for (id_,) in rows("SELECT id FROM messages WHERE id>? ORDER BY id LIMIT ?", (reindexed, limit))]


def note_reindexed(upto: int) -> None:
    """Note that messages up to this one are indexed anew, inside a transaction."""
    _, until_ms = _reindexing()
    Fact.update(value=f"{upto}:{until_ms}").where(Fact.name == REINDEXED).execute()


def end_reindexing(tx: Transaction) -> int:
    """End it when all messages are indexed anew and a day has passed, in which workers of that version may index new ones.

    Returns 1 if it ended.
    """
    reindexed, until_ms = _reindexing()
    if reindexed is None or tx.now_ms <= until_ms or next_to_reindex(1):
        return 0
    return int(Fact.delete().where(Fact.name == REINDEXED).execute())


def _reindexing() -> tuple[int | None, int]:
    """How far messages are indexed anew (None: there are none to index), and until when in ms."""
    fact = Fact.get_or_none(Fact.name == REINDEXED)
    if fact is None:
        return None, 0
    reindexed, until_ms = fact.value.split(":")
    return int(reindexed), int(until_ms)


def is_erasure_due(every_ms: int) -> bool:
    """Return whether the words of deleted texts were last erased longer ago. On PostgreSQL, where autovacuum does it, never."""
    if engine().name != "sqlite":
        return False
    fact = Fact.get_or_none(Fact.name == ERASED)
    return fact is None or is_due(int(fact.value) + every_ms, engine().now_ms(), every_ms)


def erased_ms() -> int:
    """When the words of all texts that were deleted before had left SQLite's index; 0 if never."""
    return int(facts.read(ERASED) or 0)


def erase_next(tx: Transaction) -> bool:
    """Merge a part of SQLite's index, which keeps the words of deleted texts until then; returns whether more is left."""
    before = rows("SELECT total_changes()")[0][0]
    execute("INSERT INTO message_search (message_search, rank) VALUES ('merge', ?)", (-MAX_PAGES_MERGED,))
    if int(rows("SELECT total_changes()")[0][0]) - int(before) >= MIN_CHANGES_OF_A_MERGE:
        return True
    facts.write(ERASED, str(tx.now_ms))
    return False


def unindex(message: int) -> None:
    """Remove one message's text from the index, in the transaction that changes the message."""
    execute("DELETE FROM message_search WHERE rowid=?", (message,))  # raw: the full-text table has no model


class Found(NamedTuple):
    """Ids of messages, newest first. `reached`: those before this id are still to be searched; None when all have been. `phrases`:
    the words that each contains."""

    ids: list[int]
    reached: int | None = None
    phrases: Sequence[Sequence[str]] = ()


def find(user: int, text: str, before: int | None, limit: int, chosen: SearchFilter = ANY) -> Found:
    """Find the messages in the user's conversations that match a query, and contain all its words, or words that begin so: `limit`
    of them, or those that are found in MAX_SEARCH_S. Without words, its filters alone choose. Raises InvalidError."""
    deadline = time.monotonic() + MAX_SEARCH_S
    query = search_query.parse(text)
    phrases = search_tokens.phrases(query.words)
    if not phrases and (query.words or not query.has_filters()):
        return Found([])
    matching = (search_tokens.match_expression if engine().name == "sqlite" else search_tokens.query)(phrases)
    scope = search_scope.resolve(user, query, before, chosen)
    if scope.is_empty():
        return Found([])
    with multi_index_read():
        own = _few_messages(user, scope)
        if own is None:
            return _find_in_windows(user, matching, scope, limit, deadline)._replace(phrases=phrases)
        return Found(_find_among(own, matching, limit), None, phrases)


def _find_in_windows(user: int, matching: str, scope: Scope, limit: int, deadline: float) -> Found:
    """Search the newest messages, then more and more of the older ones: each match costs time, also in others' conversations.
    Without words each message matches, and the windows stay small."""
    newest = end = min(scope.end, rows("SELECT COALESCE(MAX(id), 0) FROM messages")[0][0] + 1)
    ids: list[int] = []
    width = FIRST_WINDOW
    while end > scope.start and len(ids) < limit:
        if end < newest and time.monotonic() > deadline:
            return Found(ids, end)
        start = max(end - width, scope.start)
        ids += _find_between(user, matching, scope._replace(start=start, end=end), limit - len(ids))
        end, width = start, width * (WINDOW_FACTOR if matching else 1)
    return Found(ids)


def _find_between(user: int, matching: str, window: Scope, limit: int) -> list[int]:
    filtered, values = _filter(window)
    ends = (window.start, window.end)
    # Raw: full text. CROSS JOIN makes SQLite begin with the index of words; PostgreSQL may read both tables' windows side by side.
    source, key, words = "", "x.id", "x.deleted_ms IS NULL"
    if matching:
        source, key = "message_search s CROSS JOIN ", "s.rowid"
        words, values = f"x.id=s.rowid AND {_condition()} AND s.rowid>=? AND s.rowid<?", [matching, *ends, *values]
    matches = rows(
        f"SELECT {key} FROM {source}messages x CROSS JOIN memberships m WHERE {words}{filtered} AND x.id>=? AND x.id<? "
        f"AND m.conversation_id=x.conversation_id AND m.user_id=? AND m.to_event IS NULL ORDER BY {key} DESC LIMIT ?",
        (*values, *ends, user, limit),
    )
    return [id_ for (id_,) in matches]


def _condition() -> str:
    return "message_search MATCH ?" if engine().name == "sqlite" else "s.words @@ ?::tsquery"


def _filter(scope: Scope) -> tuple[str, list[Any]]:
    """Return the condition of senders and conversations on a message `x`, and its parameters."""
    senders, sender_values = condition("x.sender_id", scope.senders)
    conversations, conversation_values = condition("x.conversation_id", scope.conversations)
    dated, times = (" AND x.created_ms>=? AND x.created_ms<?", [scope.since_ms, scope.until_ms]) if scope.is_dated() else ("", [])
    return senders + conversations + dated, [*sender_values, *conversation_values, *times]


def _few_messages(user: int, scope: Scope) -> list[int] | None:
    """Ids of the messages that the user may find by any words; None if more than MAX_MESSAGES_LISTED must be read for them."""
    chosen, values = condition("m.conversation_id", scope.conversations)
    # Raw: each membership reads a range of an index.
    listed = rows(
        f"SELECT x.id, x.sender_id, x.deleted_ms, {'x.created_ms' if scope.is_dated() else '0'} FROM memberships m "
        "CROSS JOIN messages x WHERE m.user_id=? AND m.to_event IS NULL "
        f"AND x.conversation_id=m.conversation_id{chosen} LIMIT ?",
        (user, *values, MAX_MESSAGES_LISTED + 1),
    )
    if len(listed) > MAX_MESSAGES_LISTED:
        return None
    senders = scope.senders
    return [
        id_
        for id_, sender, deleted_ms, at_ms in listed
        if scope.start <= id_ < scope.end and deleted_ms is None and (senders is None or sender in senders)
        if scope.since_ms <= at_ms < scope.until_ms or not scope.is_dated()
    ]


def _find_among(ids: Sequence[int], matching: str, limit: int) -> list[int]:
    """Ids of the messages among these that match, newest first. Of other messages, PostgreSQL reads none, and FTS5 no more than the
    ids of the matches that are between the oldest and the newest of these."""
    if not ids or not matching:
        return sorted(ids, reverse=True)[:limit]
    among, values = condition("s.rowid", set(ids))  # on SQLite, the plus makes it run FTS5 once, and not once for each id
    # Raw: full text.
    matches = rows(
        f"SELECT s.rowid FROM message_search s WHERE {_condition()}{among} AND s.rowid BETWEEN ? AND ? "
        "ORDER BY s.rowid DESC LIMIT ?",
        (matching, *values, min(ids), max(ids), limit),
    )
    return [id_ for (id_,) in matches]
