"""Which drains have something to do, and how far behind they are: cheap enough to ask twice a second (0.1 ms)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobs.drain.consumer import Consumer
from jobs.drain.drain import MAX_SKIPPED_EVENTS
from metrics.declared import LOG_LAG_SECONDS
from models.log import checkpoint, event
from models.log.checkpoint import Part
from models.ops import dead_letters
from models.store.clock import now_ms, rfc3339

Places = dict[str, dict[int, tuple[int, int]]]


def consumers_to_run(consumers: Iterable[Consumer]) -> list[str]:
    """Consumers to run now, leaving out those whose interval has not passed. Sets each one's lag gauge on the way."""
    places, retries, newest = checkpoint.all_positions(), dead_letters.consumers_to_retry(), event.head()
    found = []
    for consumer in consumers:
        positions, moved_ms = _stands(consumer, places, 0)
        position = min(positions.values())
        since = _since(consumer, positions) if newest > position else None
        late_ms = now_ms() - since - consumer.min_interval_ms if since is not None else 0  # who rests on purpose is not behind
        LOG_LAG_SECONDS.labels(consumer.name).set(max(0, late_ms) / 1000)
        work = since is not None or newest - position >= MAX_SKIPPED_EVENTS or consumer.name in retries
        if work and _rested(consumer, moved_ms):
            found.append(consumer.name)
    return found


def consumer_lags(consumers: Iterable[Consumer]) -> list[dict[str, Any]]:
    """Each consumer's place in the log, and the age in seconds of the oldest event that it has not done."""
    places, now = checkpoint.all_positions(), now_ms()
    found = []
    for consumer in consumers:
        positions, moved_ms = _stands(consumer, places, now)
        position = min(positions.values())
        since = _since(consumer, positions)
        lag_s = max(0, now - since) / 1000 if since is not None else 0.0
        found.append({"consumer": consumer.name, "position": position, "moved_at": rfc3339(moved_ms), "lag_s": lag_s})
    return found


def _stands(consumer: Consumer, places: Places, moved_ms: int) -> tuple[dict[Part, int], int]:
    """The position of each of its parts, and when one of them last moved."""
    found = places.get(consumer.name, {})
    positions = {part: found.get(part.number, (0, 0))[0] for part in consumer.parts()}
    return positions, max((moved for _, moved in found.values()), default=moved_ms)


def _since(consumer: Consumer, positions: dict[Part, int]) -> int | None:
    return min(checkpoint.oldest_unread_by_part(positions, consumer.types).values(), default=None)


def _rested(consumer: Consumer, moved_ms: int) -> bool:
    """Whether the consumer's interval has passed; also if the clock was set back meanwhile."""
    return not 0 <= now_ms() - moved_ms < consumer.min_interval_ms
