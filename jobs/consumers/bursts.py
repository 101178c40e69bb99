"""Notify the members of large groups, for all messages of a burst at once: one notification, or one update, for each member.

The consumer `notify` lists the messages (models/notices/bursts.py), so that a large group delays nobody else's notifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import structlog

from jobs.consumers.notify import CAUSES_PER_TRANSACTION, is_deleted
from jobs.drain.consumer import Written
from jobs.drain.pacing import transaction
from jobs.drain.stats import DrainStats
from jobs.rules.bursts import BurstMessages, causes_by_user
from jobs.rules.facts import gather_facts, with_receivers
from jobs.rules.payloads import payload_of
from metrics.declared import LOG_LAG_SECONDS
from models.log.checkpoint import CheckpointMovedError
from models.log.event import Event
from models.notices import bursts, notifying
from models.notices.bursts import BurstProgress
from models.notices.causes import Cause
from models.store.clock import now_ms
from models.store.database import chunks, engine, is_store_error

NAME = "bursts"  # of its work in metrics and log lines, as if it was a consumer
RETRY_MS = 30_000  # after a burst failed

logger = structlog.get_logger("jobs")

Batch = tuple[int, list[Cause]]  # the last user of the batch, and the causes of its users


def notify_groups(stop: Callable[[], bool]) -> DrainStats:
    """Notify the bursts that are due, until there are no more or `stop()`. Raises the store's errors, like a drain.

    A burst that fails otherwise is logged and postponed, and the others go on.
    """
    stats = DrainStats(NAME)
    try:
        for burst in bursts.list_due(engine().now_ms()):
            if stop():
                break
            _try(burst, stats, stop)
    finally:
        _set_lag()
        stats.end()
    return stats


def _try(burst: BurstProgress, stats: DrainStats, stop: Callable[[], bool]) -> None:
    try:
        _notify(burst, stats, stop)
    except CheckpointMovedError:  # another worker does it
        return
    except Exception as error:
        if is_store_error(error):
            raise
        logger.error("burst_failed", conversation=burst.conversation, retry_s=RETRY_MS // 1000, exc_info=error)
        with transaction(appends=False) as tx:
            bursts.postpone(tx, burst.conversation, RETRY_MS)


def _notify(burst: BurstProgress, stats: DrainStats, stop: Callable[[], bool]) -> None:
    """Notify the members that are left, a few per transaction."""
    events = bursts.read_events(burst)
    if not events:
        with transaction(appends=True) as tx:
            bursts.remove_if_empty(tx, burst)
        return
    upto = events[-1].id
    stats.begin(events)
    for last, causes in _batches(events, burst):
        if stop():
            return
        with transaction(appends=True) as tx:
            burst = bursts.advance(tx, burst, upto, last)
            written = Written(*notifying.add_causes(tx, causes))
        stats.count(tx, written)
    with transaction(appends=False) as tx:
        bursts.complete(tx, burst, upto)
    stats.events += len(events)


def _batches(events: Sequence[Event], burst: BurstProgress) -> Iterator[Batch]:
    decoded = [(event, payload_of(event)) for event in events]
    remaining = [(event, payload) for event, payload in decoded if not is_deleted(payload)]
    if not remaining:
        return
    facts = gather_facts(remaining)
    members = [member for member in facts.members.get(burst.conversation, ()) if member.user > burst.position]
    facts = with_receivers(facts, {member.user for member in members})
    for batch in chunks(causes_by_user(BurstMessages(remaining, facts), members, facts), CAUSES_PER_TRANSACTION):
        yield batch[-1][0], [cause for _, causes in batch for cause in causes]


def _set_lag() -> None:
    """Like a consumer that waits for its interval, a burst that is not due yet is not behind."""
    oldest_ms = bursts.oldest_waiting_ms()
    lag_ms = now_ms() - oldest_ms - bursts.INTERVAL_MS if oldest_ms is not None else 0
    LOG_LAG_SECONDS.labels(NAME).set(max(0, lag_ms) / 1000)
