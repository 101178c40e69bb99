"""Notifications of what happened, as the rules have it: one a group of causes, growing while it is unread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from jobs.drain.consumer import Consumer, Written
from jobs.rules.decisions import Content, Rule, cause_of, decide
from jobs.rules.facts import DecodedEvent, Facts, gather_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.rules import BY_EVENT
from models.log.event import Event, Transaction
from models.notices import notifying
from models.notices.causes import Cause
from models.store.database import chunks

CAUSES_PER_TRANSACTION = 50  # each is several rows and an event; a send beside it waits for all of them

Said = tuple[Rule, Content, list[int]]  # what a rule says of an event, and to whom if they wish to hear it


class NotifyConsumer(Consumer):
    """Counts each cause once for each receiver. A large group's receivers take several transactions; should a crash come
    between two of them, the causes tell who has been counted."""

    name: ClassVar[str] = "notify"
    types: ClassVar[tuple[str, ...]] = tuple(BY_EVENT)
    appends_events: ClassVar[bool] = True

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Cause]]:
        happened = [(event, act) for event in events if not _is_gone(act := payload_of(event))]
        if happened:
            yield from chunks(_causes(*_known(happened)), CAUSES_PER_TRANSACTION)

    def write(self, tx: Transaction, part: list[Cause]) -> Written:
        return Written(*notifying.add_causes(tx, part))


def _is_gone(act: object) -> bool:
    return isinstance(act, MessagePayload) and act.deleted_at is not None


def _known(happened: Sequence[DecodedEvent]) -> tuple[list[Said], Facts]:
    """What is to be said, and all there is to know of it and of those who may hear it."""
    facts = gather_facts(happened)
    said = [
        (rule, rule.content(act, facts), [user for user, refusal in rule.receivers(event, act, facts) if refusal is None])
        for event, act in happened
        for rule in BY_EVENT[event.type]
    ]
    return said, with_receivers(facts, {user for _, _, hearers in said for user in hearers})


def _causes(said: Sequence[Said], facts: Facts) -> Iterator[Cause]:
    """A Cause for each who is notified or mailed of each event. None holds people's text, which may be deleted."""
    for rule, content, hearers in said:
        for user in hearers:
            cause = cause_of(rule, content, decide(rule.type, content, user, None, facts))
            if cause is not None:
                yield cause
