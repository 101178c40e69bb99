"""Reading the log on over all streams, for the host's backend: a limited slice, in one snapshot.

Raw SQL: it reads by the primary key, and each statement is bounded by ids, so that no choice of types reads the log without bound.
"""

from __future__ import annotations

from models.log import event
from models.log.event import Event
from models.log.type_patterns import TypePatterns
from models.store import facts
from models.store.database import rows, snapshot
from models.sync.catchup import BEGINNING, MAX_EVENTS_PER_STATEMENT, MAX_SCANNED_EVENTS, MAX_SLICE_BYTES, Slice


def read(position: int, patterns: TypePatterns, limit: int) -> Slice:
    """Return the events of all streams after a position.

    A slice ends with `more`, perhaps without any event, after `limit` events, about MAX_SLICE_BYTES, or MAX_SCANNED_EVENTS ids.
    """
    with snapshot():
        newest, kept_after = event.head(), facts.trimmed()
        if position == BEGINNING:
            position = kept_after
        if position > newest or position < kept_after:
            return Slice([], newest, more=False, expired=True)
        upto = min(newest, position + MAX_SCANNED_EVENTS)
        events, is_complete = _matching(position, upto, patterns, limit)
    reached = upto if is_complete else events[-1].id
    return Slice(events, reached, more=reached < newest, expired=False)


def _matching(position: int, upto: int, patterns: TypePatterns, limit: int) -> tuple[list[Event], bool]:
    """Return the chosen events up to an id, and whether these are all of them."""
    condition, params = patterns.condition()
    sql = f"SELECT id, stream, type, at_ms, data FROM events WHERE id>? AND id<=? AND ({condition}) ORDER BY id LIMIT ?"
    events: list[Event] = []
    size = 0
    while True:
        count = min(MAX_EVENTS_PER_STATEMENT, limit - len(events))
        after = events[-1].id if events else position
        found = rows(sql, (after, upto, *params, count))
        for number, stream, event_type, at_ms, data in found:
            events.append(Event(number, stream, event_type, at_ms, data.encode()))
            size += len(events[-1].data)
            if size > MAX_SLICE_BYTES:
                return events, False
        if len(found) < count:
            return events, True
        if len(events) == limit:
            return events, False


def position_at(at_ms: int) -> int:
    """Return a position after which the events of a time and later come, as far as they are kept.

    Found by halving: times follow the ids, but for the seconds by which the clock of a store was corrected.
    """
    low, high = facts.trimmed(), event.head()
    while low < high:
        middle = (low + high) // 2
        following = rows("SELECT at_ms FROM events WHERE id>? ORDER BY id LIMIT 1", (middle,))
        if following and following[0][0] < at_ms:
            low = middle + 1
        else:
            high = middle
    return low
