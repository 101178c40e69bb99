"""What the server tells, as values. Fields that are not named here are passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bellwire_client.reading import read

Priority = Literal["normal", "important", "urgent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with an account."""

    id: int
    username: str
    display_name: str
    role: Literal["user", "admin"]
    status: Literal["pending", "active", "suspended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Me(User):
    """Who calls. `profile` holds timezone and locale, `wallet` currency and balance (a decimal string)."""

    email: str
    profile: dict[str, str]
    wallet: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message. `sender` is a user's id, `conversation` a conversation's; a deleted one has an empty body and `deleted_at`."""

    id: int
    conversation: int
    sender: int
    body: str
    priority: Priority
    created_at: datetime
    client_id: str | None = None
    reply_to: int | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    reactions: dict[str, list[int]] = field(default_factory=dict)  # emoji -> ids of users


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody in a conversation, and the id of the message up to which they have read."""

    user: User
    role: Literal["owner", "member"]
    read: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation. Of more than 50 members it names the first 50 and counts all in `members_count`."""

    id: int
    kind: Literal["direct", "group"]
    title: str | None
    created_at: datetime
    members: list[Member]
    last_message: Message | None = None
    unread: int = 0
    members_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that the caller was told; `count` says how many causes it stands for."""

    id: int
    type: str
    title: str
    body: str
    data: dict[str, Any]
    count: int
    created_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that a client starts from, as of one moment of the log: events go on from `cursor`. `presence` is by user id."""

    cursor: str
    me: Me
    conversations: list[Conversation]
    presence: dict[int, bool]
    notifications_unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `id` is its cursor, None for `typing` and `presence`; `data` goes by `type`."""

    id: str | None
    type: str
    at: datetime
    data: dict[str, Any]

    @property
    def message(self) -> Message:
        """The message of `message.created`, `message.updated` and `message.deleted`. Raises UnexpectedAnswerError for others."""
        return read(Message, self.data)

    @property
    def conversation(self) -> Conversation:
        """The conversation of `conversation.created`. Raises UnexpectedAnswerError for others."""
        return read(Conversation, self.data)

    @property
    def notification(self) -> Notification:
        """The notification of `notification.created` and `.updated`. Raises UnexpectedAnswerError for others."""
        return read(Notification, self.data)


@dataclass(frozen=True, slots=True)
class Reset:
    """Everything as it is now, in place of all events before: where a program begins without a cursor, and begins again when its
    cursor has expired."""

    state: State
