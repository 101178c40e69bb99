"""The consumer `unreachable`: it marks notifications as read that lead to a post, comment or conversation which is gone for their
owner, so that nothing unread leads to a 404; queued mail about them does not go, and pushes are recalled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import CommentPayload, GroupJoinPayload, MemberLeftPayload, PostPayload, payload_of
from models.log.event import Event, Transaction, user_stream
from models.notices import unreachable
from models.notices.unreachable import Unreachable
from models.store.database import chunks

NOTIFICATIONS_PER_TRANSACTION = 25  # each writes some rows and an event


class UnreachableConsumer(Consumer):
    """Marks notifications as read. One that was read meanwhile is left alone, so a slice may be done again."""

    name: ClassVar[str] = "unreachable"
    types: ClassVar[tuple[str, ...]] = ("post.deleted", "comment.deleted", "group.left", "member.left")
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False

    def prepare(self, events: Sequence[Event]) -> Iterator[list[Unreachable]]:
        for event in events:
            yield from chunks(_found(event), NOTIFICATIONS_PER_TRANSACTION)

    def write(self, tx: Transaction, batch: list[Unreachable]) -> Written:
        return Written(unreachable.mark(tx, batch))


def _found(event: Event) -> Iterator[Unreachable]:
    match payload_of(event):
        case PostPayload() as post:
            return unreachable.of_post(post.id, post.author.id)
        case CommentPayload() as comment:
            return unreachable.of_comment(comment.post, comment.reply_to)
        case GroupJoinPayload() as left:
            return unreachable.of_group(left.user.id, left.group.id)
        case MemberLeftPayload() as left if event.stream == user_stream(left.user.id):  # the other members have an event, too
            return unreachable.of_conversation(left.user.id, left.conversation)
    return iter(())
