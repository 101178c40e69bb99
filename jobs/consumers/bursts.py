"""Notify the members of large groups, for all messages of a burst at once: a notification for each member whom it newly reaches.

The consumer `notify` lists the messages (models/notices/bursts.py), so that a large group delays nobody else's notifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from jobs.consumers.attempts import Attempts, ListedWork
from jobs.consumers.notify import CAUSES_PER_TRANSACTION, is_deleted
from jobs.drain.consumer import Written
from jobs.drain.pacing import transaction
from jobs.drain.stats import DrainStats
from jobs.rules.bursts import BurstMessages, causes_of
from jobs.rules.facts import gather_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from metrics.declared import LOG_LAG_SECONDS
from models.log.event import Event
from models.notices import audience, burst_members, bursts, notifying
from models.notices.burst_members import BurstMember
from models.notices.bursts import BurstProgress
from models.notices.causes import Cause
from models.notices.message_causes import count_ahead
from models.ops import dead_letters
from models.store.clock import now_ms
from models.store.database import chunks, engine

NAME = bursts.CONSUMER  # of its work in metrics, log lines and dead letters, as if it was a consumer
MEMBERS_PER_READ = 500

attempts = Attempts(NAME, "burst_failed")

Batch = tuple[int, list[Cause]]  # the last user of the batch, and the causes of its users


def notify_groups(stop: Callable[[], bool]) -> DrainStats:
    """Notify the bursts that are due, until there are no more or `stop()`. Raises the store's errors, like a drain.

    A burst that fails otherwise is postponed, and after TRIES_PER_EVENT times parked as a dead letter; the others go on.
    """
    stats = DrainStats(NAME)
    try:
        for burst in bursts.list_due(engine().now_ms()):
            if stop():
                break
            attempts.run(_work(burst, stats, stop))
    finally:
        _set_lag()
        stats.end()
    return stats


def _work(burst: BurstProgress, stats: DrainStats, stop: Callable[[], bool]) -> ListedWork:
    """The work of a burst. When it is parked, all later messages of the group wait for the retry of its dead letter, too."""
    return ListedWork(
        burst.conversation,
        burst.conversation,
        lambda: _notify(burst, stats, stop),
        lambda: bursts.first_event(burst.conversation),
        lambda tx, delay_ms: bursts.postpone(tx, burst.conversation, delay_ms),
    )


def _notify(burst: BurstProgress, stats: DrainStats, stop: Callable[[], bool]) -> None:
    """Notify the members that are left, a few per transaction."""
    events = bursts.read_events(burst)
    if not events:
        with transaction(appends=True) as tx:
            bursts.remove_if_empty(tx, burst)
        return
    upto = events[-1].id
    stats.begin(events)
    is_small = audience.members_counts([burst.conversation])[burst.conversation] <= bursts.LARGE
    for last, causes in _batches(events, burst, is_small=is_small):
        if stop():
            return
        with transaction(appends=True) as tx:
            burst = bursts.advance(tx, burst, upto, last)
            written = Written(*notifying.add_causes(tx, causes, only_needed=not is_small))
        stats.count(tx, written)
    with transaction(appends=False) as tx:
        bursts.complete(tx, burst, upto)
        dead_letters.remove(tx, NAME, events[0].id)
    stats.events += len(events)


def _batches(events: Sequence[Event], burst: BurstProgress, *, is_small: bool) -> Iterator[Batch]:
    decoded = [(event, payload_of(event)) for event in events]
    remaining = [(event, payload) for event, payload in decoded if not is_deleted(payload)]
    if remaining:
        messages = [payload for _, payload in remaining]
        found = _all_members(burst) if is_small else _reachable_members(burst, messages)
        for members in chunks(found, MEMBERS_PER_READ):
            facts = gather_facts(remaining, members={burst.conversation: [member.interval for member in members]})
            facts = with_receivers(facts, {member.interval.user for member in members})
            for batch in chunks(causes_of(BurstMessages(remaining, facts), members, facts), CAUSES_PER_TRANSACTION):
                yield batch[-1].user, count_ahead(batch)


def _all_members(burst: BurstProgress) -> list[BurstMember]:
    """The members of a group that was large, each of whom has their notification updated."""
    members = burst_members.list_all(burst.conversation, burst.position)
    return [member._replace(is_counted=False) for member in members]


def _reachable_members(burst: BurstProgress, messages: Sequence[MessagePayload]) -> list[BurstMember]:
    """The members of a large group whom these messages may reach, by id, without those whom they reached already."""
    conversation, after = burst.conversation, burst.position
    if any(message.mentions_all for message in messages):
        return burst_members.list_all(conversation, after)
    counted = any(message.priority != "normal" for message in messages)
    mentioned = {user for message in messages for user in message.mentions}
    found = burst_members.list_by_level(conversation, after, counted=counted)
    found += burst_members.list_among(conversation, after, mentioned)
    return [member for _, member in sorted({member.interval.user: member for member in found}.items())]


def _set_lag() -> None:
    """Like a consumer that waits for its interval, a burst that is not due yet is not behind."""
    oldest_ms = bursts.oldest_waiting_ms()
    lag_ms = now_ms() - oldest_ms - bursts.INTERVAL_MS if oldest_ms is not None else 0
    LOG_LAG_SECONDS.labels(NAME).set(max(0, lag_ms) / 1000)
