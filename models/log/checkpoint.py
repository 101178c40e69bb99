"""How far each consumer of the log has read.

A consumer may be divided into parts, by stream, so that several workers share its backlog: each part has a checkpoint of its
own. An event is in one part only, and so is all that becomes of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import peewee

from models.log.event import Event, Transaction
from models.store.database import Base, affected_rows, engine, insert_rows, placeholders, rows

LOOKED_AT = 1_000  # events, to see which parts have something to do


class Checkpoint(Base):
    """A consumer has done all events of a part up to `position`."""

    consumer = peewee.CharField(max_length=32)
    part = peewee.IntegerField()
    position = peewee.BigIntegerField()
    moved_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "checkpoints"
        primary_key = peewee.CompositeKey("consumer", "part")


class CheckpointMovedError(Exception):
    """Another drain of this consumer moved the checkpoint first: what was prepared must not be written."""


class Part(NamedTuple):
    """One of so many parts of a consumer."""

    consumer: str
    number: int = 0
    of: int = 1


Positions = Mapping[Part, int]  # parts of one consumer -> where each stands


def positions(parts: Sequence[Part]) -> dict[Part, int]:
    """Where parts of one consumer stand; those that have not begun are left out."""
    found = dict(rows("SELECT part, position FROM checkpoints WHERE consumer=?", (parts[0].consumer,)))
    return {part: found[part.number] for part in parts if part.number in found}


def ensure(tx: Transaction, parts: Sequence[Part]) -> None:
    """Makes the parts' checkpoints at the log's beginning, once."""
    values = [(part.consumer, part.number, 0, tx.now_ms) for part in parts]
    insert_rows(Checkpoint, ("consumer", "part", "position", "moved_ms"), values, " ON CONFLICT DO NOTHING")


def advance(tx: Transaction, old: Positions, new: int) -> None:
    """The right to write: moves checkpoints on from where they were read, or raises CheckpointMovedError.

    The first is moved before the others, so that two who move several wait for each other there, and nowhere else.
    """
    first, *others = sorted(old.items())
    for some in ([first], others):
        if some and _moved(tx, some, new) != len(some):
            raise CheckpointMovedError


def _moved(tx: Transaction, old: Sequence[tuple[Part, int]], new: int) -> int:
    here = " OR ".join(["part=? AND position=?"] * len(old))
    return affected_rows(
        f"UPDATE checkpoints SET position=CASE WHEN position>? THEN position ELSE ? END, moved_ms=? WHERE consumer=? AND ({here})",
        (new, new, tx.now_ms, old[0][0].consumer, *(v for part, place in old for v in (part.number, place))),
    )


def require_unmoved(tx: Transaction, old: Positions) -> None:
    """The right to write some of what lies after checkpoints that another transaction will move, or raises CheckpointMovedError."""
    if positions(list(old)) != old:
        raise CheckpointMovedError


def advanced(old: Positions, new: int) -> dict[Part, int]:
    """Where the parts stand after a move."""
    return {part: max(place, new) for part, place in old.items()}


def read_unread(old: Positions, upto: int, types: Collection[str], limit: int) -> tuple[list[Event], int]:
    """Events of these types after each part's place and up to an id, in order, and how far was read: to that id, or to the limit.

    Those of other types and parts are passed over inside the store; what some of the parts have done already, here.
    """
    of = next(iter(old)).of
    by_number = {part.number: place for part, place in old.items()}
    part_sql = engine().part_sql(of)
    within = f" AND {part_sql} IN ({','.join(map(str, by_number))})" if len(old) < of else ""
    found = rows(
        f"SELECT id, stream, type, at_ms, data, {part_sql} FROM events "
        f"WHERE id>? AND id<=? AND type IN ({placeholders(len(types))}){within} ORDER BY id LIMIT ?",
        (min(old.values()), upto, *types, limit),
    )
    events = [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data, part in found if i > by_number[part]]
    return events, found[-1][0] if len(found) == limit else upto


def read_one(event: int, types: Collection[str]) -> list[Event]:
    """One event, when it is still kept."""
    return read_unread({Part("", 0): event - 1}, event, types, 1)[0]


def _within(part: Part) -> str:
    """SQL that leaves out the events of other parts."""
    return f" AND {engine().part_sql(part.of)}={part.number}" if part.of > 1 else ""


def oldest_unread_ms(part: Part, position: int, types: Collection[str]) -> int | None:
    """When the first event of these types after a position was appended; None when there is none."""
    found = rows(
        f"SELECT at_ms FROM events WHERE id>? AND type IN ({placeholders(len(types))}){_within(part)} ORDER BY id LIMIT 1",
        (position, *types),
    )
    return int(found[0][0]) if found else None


def oldest_unread_by_part(positions: Positions, types: Collection[str]) -> dict[Part, int]:
    """Parts of one consumer that have events to do -> when the oldest of them was appended, in ms."""
    parts = {part.number: part for part in positions}
    if len(parts) == 1:
        ((part, place),) = positions.items()
        since = oldest_unread_ms(part, place, types)
        return {} if since is None else {part: since}
    found = rows(
        f"SELECT id, {engine().part_sql(len(parts))}, at_ms FROM events WHERE id>? AND type IN ({placeholders(len(types))}) "
        f"ORDER BY id LIMIT {LOOKED_AT}",
        (min(positions.values()), *types),
    )
    oldest: dict[Part, int] = {}
    for event, number, at_ms in found:
        if event > positions[parts[number]]:
            oldest.setdefault(parts[number], at_ms)
    if len(found) == LOOKED_AT:  # there are more than were looked at: those of parts that have not come up yet are asked for
        for part, place in positions.items():
            if part not in oldest and (since := oldest_unread_ms(part, max(place, found[-1][0]), types)) is not None:
                oldest[part] = since
    return oldest


def all_positions() -> dict[str, dict[int, tuple[int, int]]]:
    """Consumer -> part -> (position, when it last moved in ms)."""
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for consumer, part, place, moved_ms in rows("SELECT consumer, part, position, moved_ms FROM checkpoints"):
        found.setdefault(consumer, {})[part] = place, moved_ms
    return found
