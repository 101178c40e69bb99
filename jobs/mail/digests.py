"""Queue mail about unread notifications: hourly and daily digests, and single mails that are due.

A pending notification is decided on when it is due, by its owner's preferences and quiet hours at that time. The transaction that
queues a digest claims its period, so a person and period have one digest despite crashes and several workers. The content is read
when the mail is sent (jobs/mail/recheck.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog

from jobs.drain.pacing import transaction
from jobs.mail.urgency import ACCOUNT, urgent_among
from jobs.rules.facts import Facts, with_receivers
from metrics.declared import NOTIFICATIONS_TOTAL
from models.log.event import Transaction
from models.notices import pending_mail
from models.notices.audience import Person
from models.notices.notification import find_unread, mark_mail_only_read
from models.notices.pending_mail import DIGEST, SINGLE, PendingMail
from models.notices.preference import metric_type
from models.notices.quiet import quiet_until_ms
from models.notices.schedule import digest_period, next_digest_ms
from models.store.database import engine

USERS_PER_TRANSACTION = 25

logger = structlog.get_logger("jobs")


class Plan(NamedTuple):
    """The decisions on pending mail that is due: drop, send in a mail of its own, collect by (user, period), or postpone (until, in
    Unix ms)."""

    dropped: list[int]
    single: list[PendingMail]
    digests: dict[tuple[int, str], list[PendingMail]]
    postponed: list[tuple[PendingMail, int]]


def plan(due: Sequence[PendingMail], facts: Facts, urgent: Collection[int] = ()) -> Plan:
    """Decide by each person's current preferences and quiet hours. These do not delay the `urgent` notifications, nor a mail about
    the account. A pure function."""
    result = Plan([], [], {}, [])
    for pending in due:
        person, choice = facts.people.get(pending.user), facts.choice(pending.user, pending.type).email
        if not pending.unread or person is None or not person.active or choice == "off":
            result.dropped.append(pending.notification)
            continue
        is_single = pending.single or choice == "instant"
        due_ms = facts.now_ms if is_single else next_digest_ms(choice, pending.since_ms, person.timezone)
        if pending.notification not in urgent and not (is_single and pending.type == ACCOUNT):
            due_ms = after_quiet_ms(person, max(due_ms, facts.now_ms))
        if due_ms > facts.now_ms:
            result.postponed.append((pending, due_ms))
        elif is_single:
            result.single.append(pending)
        else:
            period = digest_period(choice, facts.now_ms, person.timezone)
            result.digests.setdefault((pending.user, period), []).append(pending)
    return result


def after_quiet_ms(person: Person, due_ms: int) -> int:
    """When mail that is due at a moment goes: at the end of the quiet hours that contain it, if there are any."""
    return quiet_until_ms(person.quiet, due_ms, person.timezone) or due_ms


def collect(stop: Callable[[], bool]) -> int:
    """Queue the mails that are due, for a few users per transaction, until there are no more; return how many."""
    began, queued = time.perf_counter(), 0
    while not stop() and (users := pending_mail.list_due_users(engine().now_ms(), USERS_PER_TRANSACTION)):
        queued += _collect_for(sorted(set(users)), engine().now_ms())
    if queued:
        logger.info("due_mail_queued", mails=queued, seconds=round(time.perf_counter() - began, 3))
    return queued


def _collect_for(users: Sequence[int], at_ms: int) -> int:
    due = pending_mail.list_due(users, at_ms)
    facts = with_receivers(Facts(at_ms), users, {pending.type for pending in due})
    decided = plan(due, facts, _urgent_among(due, facts))
    with transaction(appends=False) as tx:
        pending_mail.postpone(tx, decided.postponed)
        mark_mail_only_read(tx, sorted(pending_mail.remove(tx, decided.dropped)))
        single = _remove(tx, decided.single)
        pending_mail.queue(tx, SINGLE, [(pending.user, [pending.notification], pending.single) for pending in single])
        digests = _claim(tx, decided.digests, facts)
        pending_mail.queue(tx, DIGEST, [(user, [item.notification for item in items], False) for user, items in digests])
    collected = [item for _, items in digests for item in items]
    for pending in [*single, *collected]:
        NOTIFICATIONS_TOTAL.labels(metric_type(pending.type), "email").inc()
    return len(single) + len(digests)


def _urgent_among(due: Sequence[PendingMail], facts: Facts) -> set[int]:
    """Of the notifications with a mail of their own, those that quiet hours would delay if they were not urgent."""
    by_user: dict[int, list[int]] = {}
    for pending in due:
        person = facts.people.get(pending.user)
        if pending.single and person is not None and after_quiet_ms(person, facts.now_ms) > facts.now_ms:
            by_user.setdefault(pending.user, []).append(pending.notification)
    return {number for user, ids in by_user.items() for number in urgent_among(user, find_unread(user, ids))}


def _remove(tx: Transaction, items: Sequence[PendingMail]) -> list[PendingMail]:
    """Remove pending mail; return what was still there: another worker may have been faster."""
    removed = pending_mail.remove(tx, [item.notification for item in items])
    return [item for item in items if item.notification in removed]


def _claim(
    tx: Transaction, digests: Mapping[tuple[int, str], list[PendingMail]], facts: Facts
) -> list[tuple[int, list[PendingMail]]]:
    """Claim the digests' periods; return (user, items) of those claimed. The items of a period that has a digest already are
    postponed to the next."""
    claimed = []
    for (user, period), items in digests.items():
        if pending_mail.claim_digest(tx, user, period):
            claimed.append((user, _remove(tx, items)))
            continue
        frequency = period.partition(" ")[0]
        person = facts.people[user]
        due_ms = after_quiet_ms(person, next_digest_ms(frequency, facts.now_ms, person.timezone))
        pending_mail.postpone(tx, [(item, due_ms) for item in items])
    return [(user, items) for user, items in claimed if items]
