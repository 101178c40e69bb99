"""Trimming of the log: deleting its oldest events, once every consumer has processed them.

The low-water mark moves in the transaction that deletes, so a reader of both in one snapshot knows whether events are missing. The
event of a dead letter, of a burst, or of a notification of the host's that is not delivered, stays below the mark. Nothing else
derived from the log needs the events below the mark: memberships are rows, and ids are never used twice.
"""

from __future__ import annotations

from itertools import takewhile

from models.log.event import EventRow, Transaction
from models.store import facts
from models.store.database import affected_rows, execute, fetch_rows
from models.store.facts import TRIMMED, Fact

# The events of dead letters, those that members are still to be notified of, and the host's that are not delivered.
LISTED_SQL = (
    "SELECT event_id FROM dead_work WHERE event_id IS NOT NULL UNION ALL SELECT event FROM burst_events "
    "UNION ALL SELECT event FROM unseen_messages UNION ALL SELECT event FROM host_notices WHERE ended_ms IS NULL"
)
COPIES = ("message_copies", "post_copies")  # the tables that list which events have a text


def trim(tx: Transaction, before_ms: int, upto: int, limit: int) -> int:
    """Delete the oldest events, at most `limit`, that are older than a time and not past an id.

    Return by how many events the low-water mark has moved.
    """
    mark = facts.trimmed()
    within = (EventRow.id > mark) & (EventRow.id <= upto)
    oldest = fetch_rows(EventRow.select(EventRow.id, EventRow.at_ms).where(within).order_by(EventRow.id).limit(limit))
    ids = [number for number, _ in takewhile(lambda row: row[1] < before_ms, oldest)]
    if ids:
        Fact.update(value=str(ids[-1])).where(Fact.name == TRIMMED).execute()
        _delete(mark, ids[-1])
    return len(ids)


def forget_retried(tx: Transaction) -> int:
    """Delete events below the low-water mark that are no longer listed, and return their number."""
    return _delete(0, facts.trimmed())


def _delete(after: int, upto: int) -> int:
    """Delete the events after an id up to another that are not listed. Raw SQL: the other tables belong to packages above."""
    for table in COPIES:
        execute(f"DELETE FROM {table} WHERE event>? AND event<=? AND event NOT IN ({LISTED_SQL})", (after, upto))
    return affected_rows(f"DELETE FROM events WHERE id>? AND id<=? AND id NOT IN ({LISTED_SQL})", (after, upto))
