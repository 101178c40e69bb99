"""Whether it is quiet for a user now, until when, and what waits for the end."""

from __future__ import annotations

from typing import NamedTuple

from jobs.mail.digests import plan
from jobs.rules.facts import Facts, with_receivers
from models.notices import audience, pending_mail, pushes
from models.notices.quiet import Quiet, quiet_until_ms
from models.store.database import engine


class QuietNow(NamedTuple):
    """A user's quiet hours. If it is quiet now, `until_ms` is the end in Unix ms, and `mails` and `pushes` are the numbers of those
    that go then if they are about something unread."""

    quiet: Quiet | None
    timezone: str
    until_ms: int | None
    mails: int = 0
    pushes: int = 0


def quiet_now(user: int) -> QuietNow:
    """Return the present state of a user's quiet hours."""
    person, now_ms = audience.people([user])[user], engine().now_ms()
    until_ms = quiet_until_ms(person.quiet, now_ms, person.timezone)
    if until_ms is None:
        return QuietNow(person.quiet, person.timezone, None)
    mails = _count_mails(user, until_ms)
    return QuietNow(person.quiet, person.timezone, until_ms, mails, pushes.count_waiting(user, now_ms))


def _count_mails(user: int, until_ms: int) -> int:
    """Return how many mails the notifications become that wait until then."""
    due = pending_mail.list_due([user], until_ms)
    facts = with_receivers(Facts(until_ms), [user], {pending.type for pending in due})
    decided = plan(due, facts)
    return len(decided.single) + len(decided.digests)
