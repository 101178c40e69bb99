"""Checkpoints: how far each consumer has processed the log.

A consumer may be divided into parts by stream, so that several workers share its backlog. Each part has a checkpoint of its own. An
event belongs to one part, and so do all its effects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import peewee

from models.log.event import Event, EventRow, Transaction
from models.store.database import Base, affected_rows, engine, execute, fetch_rows, placeholders, rows, values_cte

MAX_SCANNED_EVENTS = 1_000  # in one query for the parts that have events to process


class Checkpoint(Base):
    """A consumer has processed all events of a part up to `position`."""

    consumer = peewee.CharField(max_length=32)
    part = peewee.IntegerField()
    position = peewee.BigIntegerField()
    moved_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "checkpoints"
        primary_key = peewee.CompositeKey("consumer", "part")


class CheckpointMovedError(Exception):
    """Another drain of this consumer has moved the checkpoint: the prepared effects must not be written."""


class Part(NamedTuple):
    """Part `number` of the `of` parts of a consumer."""

    consumer: str
    number: int = 0
    of: int = 1


Positions = Mapping[Part, int]  # parts, usually of one consumer -> their checkpoints' positions


def positions(parts: Sequence[Part]) -> dict[Part, int]:
    """Return the positions of parts of one consumer, without the parts that have no checkpoint yet.

    Raw SQL: `require_unmoved` reads them under the log's lock.
    """
    stored = dict(rows("SELECT part, position FROM checkpoints WHERE consumer=?", (parts[0].consumer,)))
    return {part: stored[part.number] for part in parts if part.number in stored}


def ensure(tx: Transaction, parts: Sequence[Part]) -> None:
    """Create the parts' checkpoints at the beginning of the log, unless they exist."""
    columns = (Checkpoint.consumer, Checkpoint.part, Checkpoint.position, Checkpoint.moved_ms)
    values = [(part.consumer, part.number, 0, tx.now_ms) for part in parts]
    Checkpoint.insert_many(values, columns).on_conflict_ignore().execute()


def advance(tx: Transaction, old: Positions, new: int) -> None:
    """Move checkpoints from the positions that were read to `new`. Raises CheckpointMovedError when one has moved meanwhile.

    The effects of the events between may be written in the same transaction. The first checkpoint is moved before the others, so
    that two drains that move several wait for each other only there.
    """
    first, *others = sorted(old.items())
    for part_positions in ([first], others):
        if part_positions and _advance(tx, part_positions, new) != len(part_positions):
            raise CheckpointMovedError


def _advance(tx: Transaction, old: Sequence[tuple[Part, int]], new: int) -> int:
    """Move checkpoints with one statement and return how many moved. Raw SQL: sends wait for the log's lock meanwhile."""
    unmoved = " OR ".join(["part=? AND position=?"] * len(old))
    return affected_rows(
        "UPDATE checkpoints SET position=CASE WHEN position>? THEN position ELSE ? END, moved_ms=? "
        f"WHERE consumer=? AND ({unmoved})",
        (new, new, tx.now_ms, old[0][0].consumer, *(v for part, position in old for v in (part.number, position))),
    )


def pass_over(tx: Transaction, old: Positions, new: int) -> None:
    """Move checkpoints of several consumers past events that none of them reads, except those that have moved meanwhile.

    Raw SQL: one statement for all of them. On PostgreSQL those that a drain is moving stay as well: to wait for it with some of the
    others locked could deadlock.
    """
    waits = "" if engine().name == "sqlite" else " FOR UPDATE OF c SKIP LOCKED"
    execute(
        values_cte("consumer, part, position", len(old))
        + ", unmoved AS (SELECT c.consumer, c.part FROM input CROSS JOIN checkpoints c "
        f"WHERE c.consumer=input.consumer AND c.part=input.part AND c.position=input.position{waits}) "
        "UPDATE checkpoints SET position=?, moved_ms=? FROM unmoved "
        "WHERE checkpoints.consumer=unmoved.consumer AND checkpoints.part=unmoved.part",
        [*(value for part, position in old.items() for value in (part.consumer, part.number, position)), new, tx.now_ms],
    )


def require_unmoved(tx: Transaction, old: Positions) -> None:
    """Raise CheckpointMovedError unless the checkpoints are still at these positions.

    For a transaction that writes some of the effects, while a later one writes the rest and moves the checkpoints.
    """
    if positions(list(old)) != old:
        raise CheckpointMovedError


def advanced(old: Positions, new: int) -> dict[Part, int]:
    """Return the parts' positions after `advance`."""
    return {part: max(position, new) for part, position in old.items()}


def read_unread(old: Positions, upto: int, types: Collection[str], limit: int) -> tuple[list[Event], int]:
    """Return the events of these types after each part's position, up to an id and in order; and the position reached.

    That is `upto`, or the last event's id when there were `limit`. The store leaves out events of other types and parts; events
    that one of several parts has processed already are left out here. Raw SQL: `part_sql` is a part of both clauses, and every
    drain runs it.
    """
    count = next(iter(old)).of
    position_of = {part.number: position for part, position in old.items()}
    part_sql = engine().part_sql(count)
    within = f" AND {part_sql} IN ({','.join(map(str, position_of))})" if len(old) < count else ""
    found = rows(
        f"SELECT id, stream, type, at_ms, data, {part_sql} FROM events "
        f"WHERE id>? AND id<=? AND type IN ({placeholders(len(types))}){within} ORDER BY id LIMIT ?",
        (min(old.values()), upto, *types, limit),
    )
    events = [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data, part in found if i > position_of[part]]
    return events, found[-1][0] if len(found) == limit else upto


def read_one(event: int, types: Collection[str]) -> list[Event]:
    """Return one event in a list, which is empty when the event was trimmed or has another type."""
    return read_unread({Part("", 0): event - 1}, event, types, 1)[0]


def oldest_unread_ms(part: Part, position: int, types: Collection[str]) -> int | None:
    """Return when the part's first event of these types after a position was appended, in ms; None when there is none."""
    query = EventRow.select(EventRow.at_ms).where(EventRow.id > position, EventRow.type.in_(list(types)))
    if part.of > 1:
        query = query.where(peewee.SQL(f"{engine().part_sql(part.of)}={part.number}"))
    row = query.order_by(EventRow.id).limit(1).tuples().first()
    return int(row[0]) if row else None


def oldest_unread_by_part(positions: Positions, types: Collection[str]) -> dict[Part, int]:
    """Return when the oldest unread event of each part was appended, in ms, for those parts of one consumer that have one."""
    parts = {part.number: part for part in positions}
    if len(parts) == 1:
        ((part, position),) = positions.items()
        since_ms = oldest_unread_ms(part, position, types)
        return {} if since_ms is None else {part: since_ms}
    scanned = fetch_rows(
        EventRow.select(EventRow.id, peewee.SQL(engine().part_sql(len(parts))), EventRow.at_ms)
        .where(EventRow.id > min(positions.values()), EventRow.type.in_(list(types)))
        .order_by(EventRow.id)
        .limit(MAX_SCANNED_EVENTS)
    )
    oldest: dict[Part, int] = {}
    last = 0
    for last, number, at_ms in scanned:
        if last > positions[parts[number]]:
            oldest.setdefault(parts[number], at_ms)
    if len(scanned) == MAX_SCANNED_EVENTS:  # parts without an event so far may have one after those that were scanned
        for part, position in positions.items():
            if part not in oldest and (since_ms := oldest_unread_ms(part, max(position, last), types)) is not None:
                oldest[part] = since_ms
    return oldest


def newest_by_type(after: int) -> dict[str, int]:
    """Return the newest event of each type after a position, which reads all events from there."""
    query = EventRow.select(EventRow.type, peewee.fn.MAX(EventRow.id)).where(EventRow.id > after).group_by(EventRow.type)
    return dict(fetch_rows(query))


def all_positions() -> dict[str, dict[int, tuple[int, int]]]:
    """Return every checkpoint: consumer -> part -> (position, when it last moved in ms)."""
    columns = (Checkpoint.consumer, Checkpoint.part, Checkpoint.position, Checkpoint.moved_ms)
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for consumer, part, position, moved_ms in fetch_rows(Checkpoint.select(*columns)):
        found.setdefault(consumer, {})[part] = position, moved_ms
    return found
