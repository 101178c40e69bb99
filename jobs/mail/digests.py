"""Mail about what is still unread: collected into hourly and daily digests, or alone when its time has come.

Whatever waits is looked at when it is due, with what its owner wants by then. A person's period is claimed in the transaction that
queues its mail, so it has one, whatever crashes and whoever else looks. What a mail holds is looked at once more when it is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from jobs.drain.pacing import transaction
from jobs.rules.facts import Facts, with_receivers
from metrics.declared import NOTIFICATIONS_TOTAL
from models.log.event import Transaction
from models.notices import pending_mail
from models.notices.notification import mark_mail_only_read
from models.notices.pending_mail import DIGEST, SINGLE, PendingMail
from models.notices.schedule import digest_period, next_digest_ms
from models.store.clock import now_ms

PEOPLE_A_TRANSACTION = 25

logger = structlog.get_logger("jobs")


class Plan(NamedTuple):
    """What becomes of what is due: dropped, mailed alone, collected by (user, period), or not due after all."""

    dropped: list[int]
    alone: list[PendingMail]
    digests: dict[tuple[int, str], list[PendingMail]]
    later: list[tuple[PendingMail, int]]


def plan(due: Sequence[PendingMail], facts: Facts) -> Plan:
    """Decides, by what each person wants now. Pure."""
    found = Plan([], [], {}, [])
    for one in due:
        person, wanted = facts.people.get(one.user), facts.choice(one.user, one.type).email
        if not one.unread or person is None or not person.active or wanted == "off":
            found.dropped.append(one.notification)
        elif one.alone or wanted == "instant":
            found.alone.append(one)
        elif (at := next_digest_ms(wanted, one.since_ms, person.timezone)) > facts.now_ms:
            found.later.append((one, at))
        else:
            found.digests.setdefault((one.user, digest_period(wanted, facts.now_ms, person.timezone)), []).append(one)
    return found


def collect(stop: Callable[[], bool], now: Callable[[], int] = now_ms) -> int:
    """Queues the mails that are due, of a few people at a time, until there are no more; returns how many."""
    began, queued = time.perf_counter(), 0
    while not stop() and (users := pending_mail.list_due_users(now(), PEOPLE_A_TRANSACTION)):
        queued += _collect_for(sorted(set(users)), now())
    if queued:
        logger.info("mail that was due is queued", mails=queued, seconds=round(time.perf_counter() - began, 3))
    return queued


def _collect_for(users: Sequence[int], at_ms: int) -> int:
    facts = with_receivers(Facts(at_ms), users)
    done = plan(pending_mail.list_due(users, at_ms), facts)
    with transaction(appends=False) as tx:
        pending_mail.postpone(tx, done.later)
        mark_mail_only_read(tx, sorted(pending_mail.remove(tx, done.dropped)))
        alone = _take(tx, done.alone)
        pending_mail.queue(tx, SINGLE, [(one.user, [one.notification], one.alone) for one in alone])
        digests = _claimed(tx, done.digests, facts)
        pending_mail.queue(tx, DIGEST, [(user, [one.notification for one in those], False) for user, those in digests])
    for one in [*alone, *(one for _, those in digests for one in those)]:
        NOTIFICATIONS_TOTAL.labels(one.type, "email").inc()
    return len(alone) + len(digests)


def _take(tx: Transaction, waiting: Sequence[PendingMail]) -> list[PendingMail]:
    taken = pending_mail.remove(tx, [one.notification for one in waiting])
    return [one for one in waiting if one.notification in taken]


def _claimed(
    tx: Transaction, digests: Mapping[tuple[int, str], list[PendingMail]], facts: Facts
) -> list[tuple[int, list[PendingMail]]]:
    """Those whose period has no mail yet. Of the others, all that waits goes into the next one."""
    claimed = []
    for (user, name), waiting in digests.items():
        if pending_mail.claim_digest(tx, user, name):
            claimed.append((user, _take(tx, waiting)))
            continue
        every = name.partition(" ")[0]
        at = next_digest_ms(every, facts.now_ms, facts.people[user].timezone)
        pending_mail.postpone(tx, [(one, at) for one in waiting])
    return [(user, those) for user, those in claimed if those]
