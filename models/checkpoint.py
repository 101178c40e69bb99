"""How far each consumer of the log has read, and the events it gave up on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import peewee

from models.clock import rfc3339
from models.database import Base, NeverReusedIdField, execute, marks, rows
from models.errors import NotFoundError
from models.event import Event, EventRow, Log

ERROR_CHARS = 500


class Checkpoint(Base):
    """A consumer has done all events up to `position`."""

    consumer = peewee.CharField(primary_key=True, max_length=32)
    position = peewee.BigIntegerField()
    moved_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "checkpoints"


class DeadEvent(Base):
    """An event that a consumer failed on, parked with its error until an admin has it retried."""

    id = NeverReusedIdField()
    consumer = peewee.CharField(max_length=32)
    event = peewee.ForeignKeyField(EventRow, index=False)
    error = peewee.TextField()
    parked_ms = peewee.BigIntegerField()
    retry = peewee.BooleanField(default=False)

    class Meta:
        table_name = "dead_events"
        indexes = ((("consumer", "event"), True),)


class LostRightError(Exception):
    """Another drain of this consumer moved the checkpoint first: what was prepared must not be written."""


def position(consumer: str) -> int:
    """Where the consumer stands; 0 before its first run."""
    found = rows("SELECT position FROM checkpoints WHERE consumer=?", (consumer,))
    return int(found[0][0]) if found else 0


def ensure(log: Log, consumer: str) -> None:
    """Makes the consumer's checkpoint at the log's beginning, once."""
    if not rows("SELECT 1 FROM checkpoints WHERE consumer=?", (consumer,)):
        execute("INSERT INTO checkpoints (consumer, position, moved_ms) VALUES (?,0,?)", (consumer, log.now_ms))


def move(log: Log, consumer: str, old: int, new: int) -> None:
    """The right to write: moves the checkpoint from where it was read, or raises LostRightError."""
    moved = execute(
        "UPDATE checkpoints SET position=?, moved_ms=? WHERE consumer=? AND position=?",
        (new, log.now_ms, consumer, old),
    ).rowcount
    if moved != 1:
        raise LostRightError


def hold(log: Log, consumer: str, old: int) -> None:
    """The right to write a part of what lies after a checkpoint that another transaction will move, or raises LostRightError."""
    if position(consumer) != old:
        raise LostRightError


def unread(position: int, upto: int, types: Collection[str], limit: int) -> list[Event]:
    """Events of these types with position < id <= upto, in order; those of other types are passed over inside the store."""
    found = rows(
        "SELECT id, stream, type, at_ms, data FROM events "
        f"WHERE id>? AND id<=? AND type IN ({marks(len(types))}) ORDER BY id LIMIT ?",
        (position, upto, *types, limit),
    )
    return [Event(i, stream, kind, at, data.encode()) for i, stream, kind, at, data in found]


def oldest_unread_ms(position: int, types: Collection[str]) -> int | None:
    """When the first event of these types after a position was appended; None when there is none."""
    found = rows(
        f"SELECT at_ms FROM events WHERE id>? AND type IN ({marks(len(types))}) ORDER BY id LIMIT 1",
        (position, *types),
    )
    return int(found[0][0]) if found else None


def places() -> dict[str, tuple[int, int]]:
    """Consumer -> (position, when it last moved in ms)."""
    return {c: (p, m) for c, p, m in rows("SELECT consumer, position, moved_ms FROM checkpoints")}


def park(log: Log, consumer: str, event: int, error: str) -> None:
    """Gives up on one event."""
    execute(
        "INSERT INTO dead_events (consumer, event_id, error, parked_ms, retry) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
        (consumer, event, error[:ERROR_CHARS], log.now_ms, False),
    )


def ask_retry(log: Log, dead: int) -> None:
    """An admin asks for another try of a parked event. Raises NotFoundError."""
    if execute("UPDATE dead_events SET retry=? WHERE id=?", (True, dead)).rowcount != 1:
        raise NotFoundError


def to_retry(consumer: str, limit: int) -> list[tuple[int, int]]:
    """(dead event's id, event id) of those an admin wants retried."""
    return rows(
        "SELECT id, event_id FROM dead_events WHERE consumer=? AND retry=? ORDER BY event_id LIMIT ?",
        (consumer, True, limit),
    )


def retries_asked() -> set[str]:
    """Consumers with a parked event that an admin wants retried."""
    return {c for (c,) in rows("SELECT DISTINCT consumer FROM dead_events WHERE retry=?", (True,))}


def hold_dead(log: Log, dead: int) -> None:
    """The right to write a part of a parked event's work that another transaction will end, or raises LostRightError."""
    if not rows("SELECT 1 FROM dead_events WHERE id=? AND retry=?", (dead, True)):
        raise LostRightError


def revive(log: Log, dead: int) -> None:
    """The right to do a parked event: takes it off the list, or raises LostRightError when another did."""
    if execute("DELETE FROM dead_events WHERE id=? AND retry=?", (dead, True)).rowcount != 1:
        raise LostRightError


def refuse_again(log: Log, dead: int, error: str) -> None:
    """The retry failed too: it stays parked, with the new error."""
    execute("UPDATE dead_events SET retry=?, error=? WHERE id=?", (False, error[:ERROR_CHARS], dead))


def dead_events(limit: int) -> list[dict[str, Any]]:
    """What is parked, newest first."""
    found = rows(
        "SELECT d.id, d.consumer, d.event_id, e.type, d.error, d.parked_ms, d.retry FROM dead_events d "
        "JOIN events e ON e.id=d.event_id ORDER BY d.id DESC LIMIT ?",
        (limit,),
    )
    return [
        {
            "id": i,
            "consumer": c,
            "event": e,
            "type": t,
            "error": error,
            "parked_at": rfc3339(at),
            "retrying": bool(retry),
        }
        for i, c, e, t, error, at, retry in found
    ]
