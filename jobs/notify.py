"""In-app notifications of messages, for members who are not looking: one a conversation, growing while it is unread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import msgspec

from jobs.consumer import Consumer, Sent, Written, sent
from models import audience, presence
from models import notification as notifications
from models.audience import Interval
from models.database import chunks
from models.event import Event, Log
from models.notification import Cause, conversation_group

CAUSES_A_TRANSACTION = 50  # each is several rows and an event; a send beside it waits for all of them
TITLE_CHARS = 200

# What the rule decides, and why.
NOTIFIED = "notified"
OWN_ACT = "own act"
NO_MEMBER = "no member then"
NOT_ACTIVE = "not active"
HAS_READ = "has read it"
LOOKING = "was looking"


def decide(event: int, message: Sent, member: Interval, looking: bool) -> str:
    """Whether the member is notified of a message, at its place in the log, and if not, why."""
    if member.user == message.sender:
        return OWN_ACT
    if event < member.from_event or (member.to_event is not None and event >= member.to_event):
        return NO_MEMBER
    if not member.active:
        return NOT_ACTIVE
    if member.read >= message.id:
        return HAS_READ
    return LOOKING if looking else NOTIFIED


class _Facts(NamedTuple):
    """What the rule must know, for a slice of messages."""

    members: dict[int, list[Interval]]  # by conversation
    places: dict[int, tuple[str, str | None]]  # conversation -> kind and title
    names: dict[int, str]  # of senders
    looking: set[int]


def _facts(messages: Sequence[tuple[Event, Sent]]) -> _Facts:
    asked = {m.conversation for _, m in messages}
    members = audience.intervals_of(asked, messages[0][0].id)
    people = {member.user for those in members.values() for member in those if member.active}
    names = audience.display_names({m.sender for _, m in messages})
    return _Facts(members, audience.titles(asked), names, presence.looking(people))


def _causes(messages: Sequence[tuple[Event, Sent]], facts: _Facts) -> Iterator[Cause]:
    """A Cause for each member who is notified of each message. None holds the message's text, which may be deleted."""
    for event, message in messages:
        title = _title(facts.names[message.sender], *facts.places[message.conversation])
        data = msgspec.json.encode({"conversation": message.conversation, "message": message.id})
        cause, group = f"message:{message.id}", conversation_group(message.conversation)
        for member in facts.members.get(message.conversation, ()):
            if decide(event.id, message, member, member.user in facts.looking) is NOTIFIED:
                yield Cause(member.user, cause, group, "message", title, "1 new message", data, body_more="{n} new messages")


def _title(name: str, kind: str, title: str | None) -> str:
    return name if kind == "direct" or not title else f"{name} in {title}"[:TITLE_CHARS]


class Notify(Consumer):
    """Counts each message once for each receiver. A large group's receivers take several transactions; should a crash come
    between two of them, the causes tell who has been counted."""

    name: ClassVar[str] = "notify"
    types: ClassVar[tuple[str, ...]] = ("message.created",)
    appends: ClassVar[bool] = True
    notifies: ClassVar[str] = "message"

    def prepare(self, events: Sequence[Event]) -> Iterable[list[Cause]]:
        messages = [(e, m) for e in events if (m := sent(e.data)).deleted_at is None]
        if messages:
            yield from chunks(_causes(messages, _facts(messages)), CAUSES_A_TRANSACTION)

    def write(self, log: Log, part: list[Cause]) -> Written:
        made, counted = notifications.add(log, part)
        return Written(counted, made)
