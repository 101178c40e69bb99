"""The consumer `notify`: it applies the rules to the log. Unread notifications of one group are merged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import ClassVar, NamedTuple, TypeGuard

from jobs.drain.consumer import Consumer, Written
from jobs.rules.decisions import Content, Rule, cause_of, decide, is_refused
from jobs.rules.facts import DecodedEvent, Facts, gather_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.precedence import Case
from jobs.rules.rules import BY_EVENT_TYPE, MESSAGE
from models.log.event import Event, Transaction
from models.notices import bursts, notifying, unseen
from models.notices.causes import Cause
from models.notices.counts import grouped
from models.notices.message_causes import count_ahead
from models.notices.unseen import NewUnseen
from models.store.database import chunks

CAUSES_PER_TRANSACTION = 67  # each writes two rows and an event, and a send that arrives meanwhile waits for all of them
CAUSES_COUNTED_TOGETHER = 200  # before the transactions that write them


class _Match(NamedTuple):
    """A rule that matches an event, its content, and the users to decide about."""

    rule: Rule
    content: Content
    cases: list[Case]


class Deferred(NamedTuple):
    """Work that is left to others: messages to large groups, whose members jobs/consumers/bursts.py notifies, and important and
    urgent messages, which jobs/consumers/unseen.py decides on once more."""

    conversations: dict[int, int]  # event -> conversation
    unseen: list[NewUnseen]


class NotifyConsumer(Consumer):
    """Counts each cause once for each receiver, and leaves messages to large groups to the bursts.

    The causes of a slice are written in several transactions. After a crash between two of them the slice is done again, and the
    causes that are stored show which receivers have been counted. What is left to others is listed in the last transaction, which
    moves the checkpoint.
    """

    name: ClassVar[str] = "notify"
    types: ClassVar[tuple[str, ...]] = tuple(BY_EVENT_TYPE)
    appends_events: ClassVar[bool] = True

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Cause] | Deferred]:
        decoded = [(event, payload_of(event)) for event in events]
        remaining = [(event, payload) for event, payload in decoded if not (is_deleted(payload) or _is_plain_edit(event, payload))]
        large = _to_large_groups(remaining)
        by_name = [
            (event, payload) for event, payload in remaining if _is_edit(payload, event) and _names_few(event, payload, large)
        ]
        deferred = {event.id: large[event.id] for event, payload in remaining if event.id in large and not _is_edit(payload, event)}
        apart = {*deferred, *(event.id for event, _ in by_name)}
        own = [(event, payload) for event, payload in remaining if event.id not in apart]
        named = {user for _, payload in by_name for user in payload.mentions_added}
        causes = chain(_causes(own), _causes(by_name, named))
        for part in chunks(_side_by_side(causes), CAUSES_COUNTED_TOGETHER):
            yield from chunks(count_ahead(part), CAUSES_PER_TRANSACTION)
        important = list(_important(remaining))
        if deferred or important:
            yield Deferred(deferred, important)

    def write(self, tx: Transaction, batch: list[Cause] | Deferred) -> Written:
        if isinstance(batch, Deferred):
            bursts.add(tx, batch.conversations)
            unseen.add(tx, batch.unseen)
            return Written(0)
        return Written(*notifying.add_causes(tx, batch))


def is_deleted(payload: object) -> bool:
    """Whether an event is about a message that is deleted by now."""
    return isinstance(payload, MessagePayload) and payload.deleted_at is not None


def _is_plain_edit(event: Event, payload: object) -> bool:
    """Whether an event is an edit of a message that mentions nobody newly, as most are: members are not even read for it."""
    return _is_edit(payload, event) and not payload.adds_mentions


def _is_edit(payload: object, event: Event) -> TypeGuard[MessagePayload]:
    return event.type != MESSAGE.event_type and isinstance(payload, MessagePayload)


def _names_few(event: Event, edit: MessagePayload, large: Collection[int]) -> bool:
    """Whether an edit concerns those alone whom it names, so that thousands of members are not read for it."""
    return event.id in large or not edit.mentions_all_added


def _to_large_groups(events: Sequence[DecodedEvent]) -> dict[int, int]:
    """event -> conversation, for messages to groups that were large then. A slice that is done again has the same."""
    messages = [(event.id, payload.conversation) for event, payload in events if isinstance(payload, MessagePayload)]
    since = bursts.large_since({conversation for _, conversation in messages})
    return {event: conversation for event, conversation in messages if event >= since.get(conversation, event + 1)}


def _important(events: Sequence[DecodedEvent]) -> Iterator[NewUnseen]:
    """The messages that members who are online may not see."""
    for event, payload in events:
        if event.type == MESSAGE.event_type and payload.priority in unseen.DELAYS_MS:
            yield NewUnseen(payload.id, event.id, payload.conversation, payload.priority, event.at_ms)


def _side_by_side(causes: Iterable[Cause]) -> Iterator[Cause]:
    """Bring the causes of each notification together: a transaction then updates it once, however many causes it counts."""
    return chain.from_iterable(grouped(causes))


def _causes(events: Sequence[DecodedEvent], among: Collection[int] | None = None) -> Iterator[Cause]:
    """A cause for each user who is notified or mailed. None contains text that people wrote, because that may be deleted."""
    if not events:
        return
    facts = gather_facts(events, among=among)
    matches = [match for event, payload in events for match in _matches(event, payload, facts)]
    facts = with_receivers(facts, {case.user for match in matches for case in match.cases})
    for rule, content, cases in matches:
        for case in cases:
            cause = cause_of(rule, content, decide(rule.type, content, case, facts))
            if cause is not None:
                cause.mentions_only = case.level == "mentions"
                yield cause


def _matches(event: Event, payload: object, facts: Facts) -> Iterator[_Match]:
    for rule in BY_EVENT_TYPE[event.type]:
        content = rule.content(payload, facts)
        yield _Match(rule, content, [case for case in rule.receivers(event, payload, facts) if not is_refused(content, case)])
