"""The decisions about a notification of the host's: why somebody was notified, and how many were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobs.consumers.host_notices import RECEIVERS_PER_READ, decode_notice
from jobs.rules.decisions import Content, Decision
from jobs.rules.facts import Facts, gather_notice_facts
from jobs.rules.host import content_of, decide_host
from models.log.event import Event
from models.notices import host_notices, host_types
from models.notices.host_notices import Notice
from models.notices.host_types import Definition

TYPE_DELETED = "its type was deleted"


class HostDecision(NamedTuple):
    """A decision about one user, None for one whom the notification does not concern, with the facts it rests on."""

    decision: Decision | None
    content: Content
    facts: Facts


def find_notice(event: Event) -> Notice | None:
    """Return what the host has requested with an event; None when it is no longer kept."""
    return host_notices.find(decode_notice(event.data).notice)


def decide_for(notice: Notice, definition: Definition, user: int) -> HostDecision:
    """Decide for one user, with the facts of now. Membership is that at the event."""
    content = content_of(notice, definition)
    facts = gather_notice_facts(notice, [user])
    if not host_notices.is_receiver(notice, user):
        return HostDecision(None, content, facts)
    return HostDecision(_decide(notice, content, [user], facts)[0], content, facts)


def _decide(notice: Notice, content: Content, users: Sequence[int], facts: Facts) -> list[Decision]:
    readers = host_notices.readers(notice, users, content.grouping)
    return [decide_host(content, notice, user, readers, facts) for user in users]


def count_decisions(events: Sequence[Event], types: Sequence[str] | None) -> Counter[tuple[str, str, str]]:
    """Return (type, outcome in the application, e-mail preference) -> users, over events of these types, or of all."""
    decided: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        notice = find_notice(event)
        if notice is not None and (types is None or notice.type in types):
            for decision in _decisions(notice):
                decided[notice.type, decision.outcome, decision.email or "–"] += 1
    return decided


def _decisions(notice: Notice) -> Iterator[Decision]:
    definition, position = host_types.find(notice.type), 0
    if definition is None:
        return
    content = content_of(notice, definition)
    while users := host_notices.next_receivers(notice, position, RECEIVERS_PER_READ):
        yield from _decide(notice, content, users, gather_notice_facts(notice, users))
        position = users[-1]
