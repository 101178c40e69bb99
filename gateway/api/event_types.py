"""EVENT, and the data of each event type that clients receive. The OpenAPI document is made from these types."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from gateway.api.conversations import ConversationAnswer
from gateway.api.notifications import NotificationAnswer
from models.chat.message import EditedMessage, MessageView
from models.community.comment import CommentView
from models.community.group import GroupView
from models.community.post import PostView
from models.identity.user import UserView
from models.notices.levels import Level


class Event(TypedDict):
    """An event. `id` is its cursor, null if the event is not stored; `data` depends on the type."""

    id: str | None
    type: str
    at: str
    data: Any


class MessageReacted(TypedDict):
    """A user added an emoji to a message, or removed it."""

    message: int
    conversation: int
    user: int
    emoji: str
    added: bool


class ConversationUpdated(TypedDict):
    """A conversation's new title. `by` is absent in events of earlier versions."""

    id: int
    title: str | None
    by: NotRequired[UserView]


class MemberChanged(TypedDict):
    """A user joined a conversation, or left it. `by` is the user who added or removed them, or they themselves; absent in events of
    earlier versions."""

    conversation: int
    user: UserView
    by: NotRequired[UserView]


class ReadUpdated(TypedDict):
    """A user's read mark in a conversation. Their own devices also receive it when it is set back because they have marked
    messages as unread: `message` is 0 if none is read."""

    conversation: int
    user: int
    message: int
    unread: NotRequired[int]
    mentions_unread: NotRequired[int]


class LevelUpdated(TypedDict):
    """The caller's level of a conversation. `until` is the time when it ends, null if it does not; then they have the default."""

    conversation: int
    level: Level
    until: str | None


class NotificationsRead(TypedDict):
    """Notifications were read, those of `ids` or all of them. `unread` is the number that are left."""

    ids: NotRequired[list[int]]
    all: NotRequired[bool]
    unread: int


class HistoryImported(TypedDict):
    """Earlier messages of a conversation were imported: those with ids from `first` to `last`. They are read already, and no other
    event has them: a client that shows the conversation loads it again."""

    conversation: int
    messages: int
    first: int
    last: int


class GroupMemberChanged(TypedDict):
    """A user joined a group of the community, or left it."""

    group: GroupView
    user: UserView


class TypingChanged(TypedDict):
    """A user started or stopped typing."""

    conversation: int
    user: int
    typing: bool


class PresenceChanged(TypedDict):
    """A user went online or offline."""

    user: int
    online: bool


class BlockChanged(TypedDict):
    """The caller blocked a user, or unblocked them: only the caller's own clients receive it."""

    user: int


class CursorExpired(TypedDict):
    """The cursor has expired. `cursor` is the present one, to continue from after loading the state."""

    cursor: str


DATA_BY_EVENT_TYPE: dict[str, Any] = {
    "message.created": MessageView,
    "message.updated": EditedMessage,
    "message.deleted": MessageView,
    "message.reacted": MessageReacted,
    "conversation.created": ConversationAnswer,
    "conversation.updated": ConversationUpdated,
    "member.joined": MemberChanged,
    "member.left": MemberChanged,
    "read.updated": ReadUpdated,
    "level.updated": LevelUpdated,
    "history.imported": HistoryImported,
    "notification.created": NotificationAnswer,
    "notification.updated": NotificationAnswer,
    "notification.read": NotificationsRead,
    "block.added": BlockChanged,
    "block.removed": BlockChanged,
    "account.updated": UserView,
    "user.updated": UserView,
    "post.created": PostView,
    "post.updated": PostView,
    "post.deleted": PostView,
    "comment.created": CommentView,
    "comment.deleted": CommentView,
    "group.joined": GroupMemberChanged,
    "group.left": GroupMemberChanged,
    "typing": TypingChanged,
    "presence": PresenceChanged,
    "cursor.expired": CursorExpired,
}
