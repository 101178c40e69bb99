"""Forgetting the beginning of the log: events that are old, and that every consumer has done.

The mark of how far the log is kept moves in the transaction that deletes, so whoever reads both in one snapshot knows whether
anything is missing. An event that was given up on stays below the mark, for the work alone, as long as it is listed. Nothing that
is derived from the log needs what is below it: memberships are rows, and ids are never given out again.
"""

from __future__ import annotations

from itertools import takewhile

from models.log.event import Transaction
from models.store import facts
from models.store.database import affected_rows, execute, rows
from models.store.facts import TRIMMED

LISTED = "SELECT event_id FROM dead_work WHERE event_id IS NOT NULL"
COPIES = ("message_copies", "post_copies")  # which events carry a text


def trim(tx: Transaction, before_ms: int, upto: int, limit: int) -> int:
    """Deletes at most `limit` events of before a time, the oldest, up to an id; returns of how many it has moved the mark."""
    mark = facts.trimmed()
    found = rows("SELECT id, at_ms FROM events WHERE id>? AND id<=? ORDER BY id LIMIT ?", (mark, upto, limit))
    old = [number for number, _ in takewhile(lambda row: row[1] < before_ms, found)]
    if old:
        execute("UPDATE facts SET value=? WHERE name=?", (str(old[-1]), TRIMMED))
        _forget(mark, old[-1])
    return len(old)


def forget_retried(tx: Transaction) -> int:
    """Deletes events below the mark whose work is no longer listed; returns how many."""
    return _forget(0, facts.trimmed())


def _forget(after: int, upto: int) -> int:
    """Deletes events after an id up to another, with what says that they carry a text; unless they are listed."""
    for table in COPIES:
        execute(f"DELETE FROM {table} WHERE event>? AND event<=? AND event NOT IN ({LISTED})", (after, upto))
    return affected_rows(f"DELETE FROM events WHERE id>? AND id<=? AND id NOT IN ({LISTED})", (after, upto))
