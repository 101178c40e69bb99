"""EVENT, and what its data is by its type: for the API's document, and whoever looks for what clients hear of."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from gateway.api.conversations import ConversationAnswer
from gateway.api.notifications import NotificationAnswer
from models.chat.message import MessageView
from models.community.comment import CommentView
from models.community.group import GroupView
from models.community.post import PostView
from models.identity.user import UserView


class Event(TypedDict):
    """`id` is its cursor, null for what is not kept; `data` is by its type."""

    id: str | None
    type: str
    at: str
    data: Any


class MessageReacted(TypedDict):
    """An emoji was put on a message, or taken back."""

    message: int
    conversation: int
    user: int
    emoji: str
    added: bool


class ConversationUpdated(TypedDict):
    """A conversation's new title."""

    id: int
    title: str | None


class MemberChanged(TypedDict):
    """Who is in a conversation now, or no longer."""

    conversation: int
    user: UserView


class ReadUpdated(TypedDict):
    """How far somebody has read a conversation."""

    conversation: int
    user: int
    message: int
    unread: NotRequired[int]


class NotificationsRead(TypedDict):
    """Which were read, or all of them; and how many are left unread."""

    ids: NotRequired[list[int]]
    all: NotRequired[bool]
    unread: int


class GroupMemberChanged(TypedDict):
    """The caller joined a group of the community, or left it."""

    group: GroupView
    user: UserView


class TypingChanged(TypedDict):
    """Whether somebody types now."""

    conversation: int
    user: int
    typing: bool


class PresenceChanged(TypedDict):
    """Whether somebody is there now."""

    user: int
    online: bool


class CursorExpired(TypedDict):
    """The cursor to go on from, after loading the state."""

    cursor: str


DATA_BY_EVENT_TYPE: dict[str, Any] = {
    "message.created": MessageView,
    "message.updated": MessageView,
    "message.deleted": MessageView,
    "message.reacted": MessageReacted,
    "conversation.created": ConversationAnswer,
    "conversation.updated": ConversationUpdated,
    "member.joined": MemberChanged,
    "member.left": MemberChanged,
    "read.updated": ReadUpdated,
    "notification.created": NotificationAnswer,
    "notification.updated": NotificationAnswer,
    "notification.read": NotificationsRead,
    "account.updated": UserView,
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
