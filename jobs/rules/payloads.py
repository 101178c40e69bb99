"""What the log's events say, as far as the drains need it: never people's text."""

from __future__ import annotations

from typing import Any

import msgspec

from models.log.event import Event

USER_CREATED, USER_STATUS, USER_ACTIVITY = "user.created", "user.status", "user.activity"


class MessagePayload(msgspec.Struct, gc=False):
    """A message."""

    id: int
    conversation: int
    sender: int
    priority: str
    deleted_at: str | None


class ReactionPayload(msgspec.Struct, gc=False):
    """A like or a bookmark: whose post, and by whom."""

    post: int
    user: int
    author: int


class UserRef(msgspec.Struct, gc=False):
    """A user."""

    id: int


class CommentPayload(msgspec.Struct, gc=False):
    """A comment, or the answer to one."""

    id: int
    post: int
    author: UserRef
    reply_to: int | None


class GroupRef(msgspec.Struct, gc=False):
    """A group."""

    id: int
    name: str
    owner: int


class GroupJoinPayload(msgspec.Struct, gc=False):
    """Who joined which group."""

    group: GroupRef
    user: UserRef


class NewUserPayload(msgspec.Struct, gc=False):
    """Who is new."""

    user: int


class StatusPayload(msgspec.Struct, gc=False):
    """Whose status an admin changed."""

    users: list[int]
    by: int


class ActivityPayload(msgspec.Struct, gc=False):
    """What a user did in the application around, as that tells: `by` is who told."""

    by: int
    action: str
    description: str
    metadata: msgspec.Raw
    user: int | None
    site: str | None


DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "message.created": msgspec.json.Decoder(MessagePayload),
    "message.updated": msgspec.json.Decoder(MessagePayload),
    "post.liked": msgspec.json.Decoder(ReactionPayload),
    "post.bookmarked": msgspec.json.Decoder(ReactionPayload),
    "comment.created": msgspec.json.Decoder(CommentPayload),
    "group.joined": msgspec.json.Decoder(GroupJoinPayload),
    USER_CREATED: msgspec.json.Decoder(NewUserPayload),
    USER_STATUS: msgspec.json.Decoder(StatusPayload),
    USER_ACTIVITY: msgspec.json.Decoder(ActivityPayload),
}


def payload_of(event: Event) -> Any:
    """One of the above, by the event's type."""
    return DECODERS[event.type].decode(event.data)
