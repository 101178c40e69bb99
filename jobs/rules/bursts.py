"""Decide on a burst: several messages to one large group at once, in one step for each member. Pure functions.

The outcome is what the rule `message` decides message by message (jobs/rules/rules.py), with one cause for all messages that reach
a member: its count is their number, its content the newest one's, its priority the highest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from jobs.rules.decisions import Content, cause_of, decide
from jobs.rules.facts import DecodedEvent, Facts
from jobs.rules.payloads import MessagePayload
from jobs.rules.precedence import Case, refused
from jobs.rules.rules import MESSAGE, message_case
from models.notices.audience import Interval
from models.notices.burst_members import BurstMember
from models.notices.causes import Cause, burst_cause

PRIORITIES = ("normal", "important", "urgent")


class BurstMessages:
    """The messages of one burst in log order, all of one conversation and none of them deleted."""

    def __init__(self, events: Sequence[DecodedEvent], facts: Facts) -> None:
        self._facts = facts
        self._decoded = events
        self._events = [event.id for event, _ in events]
        self._messages: list[MessagePayload] = [payload for _, payload in events]
        self._ids = [message.id for message in self._messages]
        self._senders = {message.sender for message in self._messages}
        self._noted = self._senders | {user for user, _ in facts.blocks}  # each message is checked for these
        self._contents: dict[tuple[int, ...], Content] = {}

    def reaching(self, member: Interval) -> list[MessagePayload]:
        """Return the messages that a member is to be notified of: those that no line of the precedence refuses."""
        if not member.active or member.user in self._facts.online:
            return []
        begin = max(bisect_left(self._events, member.from_event), bisect_right(self._ids, member.read))
        end = len(self._events) if member.to_event is None else bisect_left(self._events, member.to_event)
        level = self._facts.level(self._messages[0].conversation, member)
        if level == "all" and member.user not in self._noted:
            return self._messages[begin:end]
        pairs = zip(self._decoded[begin:end], self._messages[begin:end], strict=True)
        cases = ((message, message_case(event, message, member, self._facts)) for (event, _), message in pairs)
        return [message for message, case in cases if message.sender != member.user and not refused(case)]

    def content(self, member: Interval, reached: Sequence[MessagePayload]) -> Content:
        """Return the content of one notification about these messages. Most members have the same, which is made once."""
        key = (reached[0].id, reached[-1].id, len(reached), member.user if member.user in self._senders else 0)
        if key not in self._contents:
            content = MESSAGE.content(reached[-1], self._facts)
            cause = burst_cause(reached[0].conversation, reached[0].id, reached[-1].id) if len(reached) > 1 else content.cause
            priority = max((message.priority for message in reached), key=PRIORITIES.index)
            self._contents[key] = content._replace(cause=cause, priority=priority)
        return self._contents[key]

    def is_special(self, message: MessagePayload, member: Interval) -> bool:
        """Whether a member is told of a message even if they have not read earlier ones yet."""
        return message.priority != "normal" or message.mentions_all or member.user in message.mentions


def causes_of(messages: BurstMessages, members: Iterable[BurstMember], facts: Facts) -> Iterator[Cause]:
    """Yield a cause for each member who is notified or mailed, in the order of the members. `facts` has them as receivers."""
    for member in members:
        cause = _cause(messages, member, facts)
        if cause is not None:
            yield cause


def _cause(messages: BurstMessages, member: BurstMember, facts: Facts) -> Cause | None:
    interval = member.interval
    reached = messages.reaching(interval)
    if member.is_counted:
        reached = [message for message in reached if messages.is_special(message, interval)]
    if not reached:
        return None
    content = messages.content(interval, reached)
    cause = cause_of(MESSAGE, content, decide(MESSAGE.type, content, Case(interval.user), facts))
    if cause is not None:
        cause.facts, cause.first = len(reached), reached[0].id
        cause.mentions_only = facts.level(reached[0].conversation, interval) == "mentions"
    return cause
