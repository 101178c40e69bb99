"""The backlog: which consumers have events to process, and how far each is behind. Reading it costs 0.1 ms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from jobs.drain.consumer import Consumer
from jobs.drain.drain import MAX_SKIPPED_EVENTS
from jobs.drain.pacing import transaction
from metrics.declared import LOG_LAG_SECONDS
from models.log import checkpoint, event
from models.log.checkpoint import Part
from models.ops import dead_letters
from models.store.clock import now_ms, rfc3339
from models.store.database import engine
from models.store.due import is_due

MAX_GROUPED_EVENTS = 5_000  # in one query for the types of all consumers: each of them would read as many

AllPositions = dict[str, dict[int, tuple[int, int]]]  # consumer -> part number -> (position, when it moved in Unix ms)


def consumers_to_run(consumers: Collection[Consumer], *, passes_over: bool = False) -> list[str]:
    """Return the consumers to run now, without those whose interval has not passed. Sets the lag gauge of each consumer.

    With `passes_over`, the checkpoints of those that have nothing to do for MAX_SKIPPED_EVENTS are moved past these together.
    """
    stored, retries, newest = checkpoint.all_positions(), dead_letters.consumers_to_retry(), event.head()
    may_have_unread = _unread_filter(consumers, stored, newest)
    to_run, passed = [], dict[Part, int]()
    for consumer in consumers:
        positions, moved_ms = _positions(consumer, stored, 0)
        position = min(positions.values())
        oldest_ms = _oldest_unread_ms(consumer, positions) if may_have_unread(consumer, position) else None
        _set_lag(consumer, oldest_ms)
        skips = oldest_ms is None and newest - position >= MAX_SKIPPED_EVENTS
        has_work = oldest_ms is not None or skips or consumer.name in retries or consumer.postponed()
        if not (has_work and _interval_has_passed(consumer, moved_ms)):
            continue
        if skips and passes_over and len(stored.get(consumer.name, ())) == len(positions):
            passed |= positions
            has_work = consumer.name in retries or consumer.postponed()
        if has_work:
            to_run.append(consumer.name)
    if passed:
        with transaction(appends=False) as tx:
            checkpoint.pass_over(tx, passed, newest)
    return to_run


def _unread_filter(consumers: Iterable[Consumer], stored: AllPositions, newest: int) -> Callable[[Consumer, int], bool]:
    """Return a function that says whether a consumer may have events to process after a position.

    One query of the newest event of each type answers that for all consumers but those that are far behind.
    """
    positions = [min(_positions(consumer, stored, 0)[0].values()) for consumer in consumers]
    since = min((position for position in positions if newest - position <= MAX_GROUPED_EVENTS), default=newest)
    by_type = checkpoint.newest_by_type(since) if newest > since else {}
    return lambda consumer, position: (
        newest > position if position < since else any(by_type.get(kind, 0) > position for kind in consumer.types)
    )


def consumer_lags(consumers: Iterable[Consumer]) -> list[dict[str, Any]]:
    """Return each consumer's position in the log, and the age in seconds of its oldest unprocessed event."""
    stored, now = checkpoint.all_positions(), now_ms()
    lags = []
    for consumer in consumers:
        positions, moved_ms = _positions(consumer, stored, now)
        oldest_ms = _oldest_unread_ms(consumer, positions)
        lag_s = max(0, now - oldest_ms) / 1000 if oldest_ms is not None else 0.0
        position = min(positions.values())
        lags.append({"consumer": consumer.name, "position": position, "moved_at": rfc3339(moved_ms), "lag_s": lag_s})
    return lags


def _positions(consumer: Consumer, stored: AllPositions, never_moved_ms: int) -> tuple[dict[Part, int], int]:
    """The position of each part, and when one of them last moved (`never_moved_ms` if there is no checkpoint)."""
    by_number = stored.get(consumer.name, {})
    positions = {part: by_number.get(part.number, (0, 0))[0] for part in consumer.parts()}
    return positions, max((moved_ms for _, moved_ms in by_number.values()), default=never_moved_ms)


def _oldest_unread_ms(consumer: Consumer, positions: dict[Part, int]) -> int | None:
    return min(checkpoint.oldest_unread_by_part(positions, consumer.types).values(), default=None)


def _set_lag(consumer: Consumer, oldest_ms: int | None) -> None:
    """A consumer that waits for its interval is not behind, so the interval is not counted."""
    lag_ms = now_ms() - oldest_ms - consumer.min_interval_ms if oldest_ms is not None else 0
    LOG_LAG_SECONDS.labels(consumer.name).set(max(0, lag_ms) / 1000)


def _interval_has_passed(consumer: Consumer, moved_ms: int) -> bool:
    """Whether the consumer may run again."""
    interval_ms = consumer.min_interval_ms
    return not interval_ms or is_due(moved_ms + interval_ms, engine().now_ms(), interval_ms)
