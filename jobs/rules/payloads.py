"""The data of the log's events, decoded as far as background work needs it. None of these types has people's text."""

from __future__ import annotations

from typing import Any

import msgspec

from models.log.event import Event

USER_CREATED, USER_STATUS, USER_ACTIVITY = "user.created", "user.status", "user.activity"
REPORT_CREATED, REPORT_CLOSED = "report.created", "report.closed"


class MessagePayload(msgspec.Struct, gc=False):
    """`message.created`, `message.updated` and `message.deleted`. The last two fields are of an edit: the mentions that the message
    did not have before."""

    id: int
    conversation: int
    sender: int
    priority: str
    deleted_at: str | None
    mentions: list[int] = []
    mentions_all: bool = False
    mentions_added: list[int] = []
    mentions_all_added: bool = False

    @property
    def adds_mentions(self) -> bool:
        """Whether an edit mentions somebody who was not mentioned before."""
        return self.mentions_all_added or (bool(self.mentions_added) and not self.mentions_all)

    def newly_mentions(self, user: int) -> bool:
        """Return whether an edit mentions a user whom the message did not mention before, neither by name nor among all."""
        is_added = user in self.mentions_added
        return self.adds_mentions and (is_added or (self.mentions_all_added and user not in self.mentions))


class ReactionPayload(msgspec.Struct, gc=False):
    """`post.liked` and `post.bookmarked`: `user` did it, `author` wrote the post."""

    post: int
    user: int
    author: int


class UserRef(msgspec.Struct, gc=False):
    """A user inside another payload."""

    id: int


class CommentPayload(msgspec.Struct, gc=False):
    """`comment.created`. `reply_to` is the id of the comment that this one answers, or None."""

    id: int
    post: int
    author: UserRef
    reply_to: int | None


class PostPayload(msgspec.Struct, gc=False):
    """`post.deleted`."""

    id: int
    author: UserRef


class MemberLeftPayload(msgspec.Struct, gc=False):
    """`member.left`: `user` is no member of a conversation any more."""

    conversation: int
    user: UserRef


class GroupRef(msgspec.Struct, gc=False):
    """A group inside another payload; `owner` is a user id."""

    id: int
    name: str
    owner: int


class GroupJoinPayload(msgspec.Struct, gc=False):
    """`group.joined` and `group.left`: `user` joined or left `group`."""

    group: GroupRef
    user: UserRef


class NewUserPayload(msgspec.Struct, gc=False):
    """`user.created`: an account became active for the first time."""

    user: int


class StatusPayload(msgspec.Struct, gc=False):
    """`user.status`: the admin `by` changed the status of these accounts."""

    users: list[int]
    by: int


class ReportPayload(msgspec.Struct, gc=False):
    """`report.created`: a user reported a message or post."""

    reporter: int


class ReportClosedPayload(msgspec.Struct, gc=False):
    """`report.closed`: an admin closed a report, and with it all others of the same message or post."""

    report: int
    action: str
    reporters: list[int]


class ActivityPayload(msgspec.Struct, gc=False):
    """`user.activity`: the application around Bellwire reported that `user` did something; `by` is the account that reported it."""

    by: int
    action: str
    description: str
    metadata: msgspec.Raw
    user: int | None
    site: str | None


DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "message.created": msgspec.json.Decoder(MessagePayload),
    "message.updated": msgspec.json.Decoder(MessagePayload),
    "post.deleted": msgspec.json.Decoder(PostPayload),
    "comment.deleted": msgspec.json.Decoder(CommentPayload),
    "group.left": msgspec.json.Decoder(GroupJoinPayload),
    "member.left": msgspec.json.Decoder(MemberLeftPayload),
    "message.deleted": msgspec.json.Decoder(MessagePayload),
    "post.liked": msgspec.json.Decoder(ReactionPayload),
    "post.bookmarked": msgspec.json.Decoder(ReactionPayload),
    "comment.created": msgspec.json.Decoder(CommentPayload),
    "group.joined": msgspec.json.Decoder(GroupJoinPayload),
    USER_CREATED: msgspec.json.Decoder(NewUserPayload),
    USER_STATUS: msgspec.json.Decoder(StatusPayload),
    REPORT_CREATED: msgspec.json.Decoder(ReportPayload),
    REPORT_CLOSED: msgspec.json.Decoder(ReportClosedPayload),
    USER_ACTIVITY: msgspec.json.Decoder(ActivityPayload),
}


def payload_of(event: Event) -> Any:
    """Decode an event's data to the struct of its type. Raises KeyError for other types, msgspec.MsgspecError for bad data."""
    return DECODERS[event.type].decode(event.data)
