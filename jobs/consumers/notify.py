"""The consumer `notify`: it applies the rules to the log. Unread notifications of one group are merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from jobs.drain.consumer import Consumer, Written
from jobs.rules.decisions import Content, Rule, cause_of, decide
from jobs.rules.facts import DecodedEvent, Facts, gather_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.rules import BY_EVENT_TYPE
from models.log.event import Event, Transaction
from models.notices import notifying
from models.notices.causes import Cause
from models.store.database import chunks

CAUSES_PER_TRANSACTION = 50  # each writes several rows and an event, and a send that arrives meanwhile waits for all of them


class _Match(NamedTuple):
    """A rule that matches an event, its content, and the users to decide about."""

    rule: Rule
    content: Content
    users: list[int]


class NotifyConsumer(Consumer):
    """Counts each cause once for each receiver.

    The receivers of a large group are written in several transactions. After a crash between two of them the slice is done again,
    and the causes that are stored show which receivers have been counted.
    """

    name: ClassVar[str] = "notify"
    types: ClassVar[tuple[str, ...]] = tuple(BY_EVENT_TYPE)
    appends_events: ClassVar[bool] = True

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Cause]]:
        decoded = [(event, payload_of(event)) for event in events]
        remaining = [(event, payload) for event, payload in decoded if not _is_deleted(payload)]
        if remaining:
            yield from chunks(_causes(remaining), CAUSES_PER_TRANSACTION)

    def write(self, tx: Transaction, batch: list[Cause]) -> Written:
        return Written(*notifying.add_causes(tx, batch))


def _is_deleted(payload: object) -> bool:
    return isinstance(payload, MessagePayload) and payload.deleted_at is not None


def _causes(events: Sequence[DecodedEvent]) -> Iterator[Cause]:
    """A cause for each user who is notified or mailed. None contains text that people wrote, because that may be deleted."""
    facts = gather_facts(events)
    matches = [match for event, payload in events for match in _matches(event, payload, facts)]
    facts = with_receivers(facts, {user for match in matches for user in match.users})
    for rule, content, users in matches:
        for user in users:
            cause = cause_of(rule, content, decide(rule.type, content, user, None, facts))
            if cause is not None:
                yield cause


def _matches(event: Event, payload: object, facts: Facts) -> Iterator[_Match]:
    for rule in BY_EVENT_TYPE[event.type]:
        users = [user for user, refusal in rule.receivers(event, payload, facts) if refusal is None]
        yield _Match(rule, rule.content(payload, facts), users)
