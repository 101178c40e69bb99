"""Notify members who were online when an important or urgent message came, and have not read it when it is due.

The consumer `notify` lists the messages (models/notices/unseen.py). The precedence decides with the facts of now, without
its line about who is online.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from jobs.consumers.attempts import Attempts, ListedWork
from jobs.consumers.notify import CAUSES_PER_TRANSACTION
from jobs.drain.consumer import Written
from jobs.drain.pacing import transaction
from jobs.drain.stats import DrainStats
from jobs.rules.decisions import cause_of, decide, is_refused
from jobs.rules.facts import gather_unseen_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.rules import MESSAGE, message_case
from metrics.declared import LOG_LAG_SECONDS
from models.log import event as events
from models.log.event import Event
from models.notices import notifying, unseen
from models.notices.audience import Interval
from models.notices.causes import Cause
from models.notices.unseen import UnseenProgress
from models.ops import dead_letters
from models.store.database import chunks, engine

NAME = unseen.CONSUMER  # of its work in metrics, log lines and dead letters, as if it was a consumer
MEMBERS_PER_READ = 500

attempts = Attempts(NAME, "unseen_failed")


def notify_unseen(stop: Callable[[], bool]) -> DrainStats:
    """Notify of the messages that are due, until there are no more or `stop()`. Raises the store's errors, like a drain.

    A message that fails otherwise is postponed, and after TRIES_PER_EVENT times parked as a dead letter; the others go on.
    """
    stats = DrainStats(NAME)
    try:
        for due in unseen.list_due(engine().now_ms()):
            if stop():
                break
            attempts.run(_work(due, stats, stop))
    finally:
        oldest_ms = unseen.oldest_due_ms()
        LOG_LAG_SECONDS.labels(NAME).set(max(0, engine().now_ms() - oldest_ms) / 1000 if oldest_ms is not None else 0)
        stats.end()
    return stats


def _work(due: UnseenProgress, stats: DrainStats, stop: Callable[[], bool]) -> ListedWork:
    return ListedWork(
        due.event,
        due.conversation,
        lambda: _notify(due, stats, stop),
        lambda: due.event,
        lambda tx, delay_ms: unseen.postpone(tx, due.message, delay_ms),
    )


def _notify(due: UnseenProgress, stats: DrainStats, stop: Callable[[], bool]) -> None:
    """Notify the members that are left, a few per transaction."""
    message_event = events.find(due.event)
    if message_event is not None:
        stats.begin([message_event])
        for last, causes in _batches(due, message_event):
            if stop():
                return
            with transaction(appends=True) as tx:
                due = unseen.advance(tx, due, last)
                written = Written(*notifying.add_causes(tx, causes))
            stats.count(tx, written)
    with transaction(appends=False) as tx:
        unseen.complete(tx, due)
        dead_letters.remove(tx, NAME, due.event)


def _batches(due: UnseenProgress, message_event: Event) -> Iterator[tuple[int, list[Cause]]]:
    """Yield a user up to whom all are done by some causes, and these."""
    while True:
        payload: MessagePayload = payload_of(message_event)
        if payload.deleted_at is not None:
            return
        members = unseen.next_members(due, message_event.at_ms, MEMBERS_PER_READ)
        if not members:
            return
        due = due._replace(position=members[-1].user)
        for causes in chunks(_causes(due, message_event, payload, members), CAUSES_PER_TRANSACTION):
            yield causes[-1].user, causes


def _causes(due: UnseenProgress, message_event: Event, payload: MessagePayload, members: Sequence[Interval]) -> Iterator[Cause]:
    facts = gather_unseen_facts((message_event, payload), members)
    content = MESSAGE.content(payload, facts)._replace(overdue=True)
    cases = [message_case(message_event, payload, member, facts) for member in members]
    cases = [case for case in cases if not is_refused(content, case)]
    if not cases:
        return
    facts = with_receivers(facts, [case.user for case in cases])
    before = unseen.notified_before(due, [case.user for case in cases], message_event.at_ms)
    for case in cases:
        cause = cause_of(MESSAGE, content, decide(MESSAGE.type, content, case, facts))
        if cause is not None and case.user not in before:
            cause.mentions_only = case.level == "mentions"
            yield cause
