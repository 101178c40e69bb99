"""What the log's events say, as far as the drains need it: never people's text."""

from __future__ import annotations

from typing import Any

import msgspec

from models.log.event import Event

NEW_USER, NEW_STATUS, REPORTED = "user.created", "user.status", "user.activity"


class Sent(msgspec.Struct, gc=False):
    """A message."""

    id: int
    conversation: int
    sender: int
    priority: str
    deleted_at: str | None


class Marked(msgspec.Struct, gc=False):
    """A like or a bookmark: whose post, and by whom."""

    post: int
    user: int
    author: int


class Named(msgspec.Struct, gc=False):
    """A user."""

    id: int


class Commented(msgspec.Struct, gc=False):
    """A comment, or the answer to one."""

    id: int
    post: int
    author: Named
    reply_to: int | None


class OfGroup(msgspec.Struct, gc=False):
    """A group."""

    id: int
    name: str
    owner: int


class Joined(msgspec.Struct, gc=False):
    """Who joined which group."""

    group: OfGroup
    user: Named


class Newcomer(msgspec.Struct, gc=False):
    """Who is new."""

    user: int


class Judged(msgspec.Struct, gc=False):
    """Whose status an admin changed."""

    users: list[int]
    by: int


class Reported(msgspec.Struct, gc=False):
    """What a user did in the application around, as that tells: `by` is who told."""

    by: int
    action: str
    description: str
    metadata: msgspec.Raw
    user: int | None
    site: str | None


DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "message.created": msgspec.json.Decoder(Sent),
    "message.updated": msgspec.json.Decoder(Sent),
    "post.liked": msgspec.json.Decoder(Marked),
    "post.bookmarked": msgspec.json.Decoder(Marked),
    "comment.created": msgspec.json.Decoder(Commented),
    "group.joined": msgspec.json.Decoder(Joined),
    NEW_USER: msgspec.json.Decoder(Newcomer),
    NEW_STATUS: msgspec.json.Decoder(Judged),
    REPORTED: msgspec.json.Decoder(Reported),
}


def act_of(event: Event) -> Any:
    """One of the above, by the event's type."""
    return DECODERS[event.type].decode(event.data)
