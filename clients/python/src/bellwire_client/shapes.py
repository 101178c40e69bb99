"""The objects of the API as dataclasses. Other fields that the server sends are ignored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from bellwire_client.reading import read

Priority = Literal["normal", "important", "urgent"]
Level = Literal["all", "mentions", "none"]
UserRef: TypeAlias = int | str  # a user's id, or "ext:" and their external id


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. `bot` is True for a program's: a bot that answers no bots talks to no other without end. `external_id` is what
    another product, which embeds Bellwire, calls the user."""

    id: int
    username: str
    display_name: str
    role: Literal["user", "admin"]
    status: Literal["pending", "active", "suspended"]
    bot: bool = False
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Me(User):
    """The caller's account. `profile` has timezone and locale; `wallet` has currency and balance (a decimal string); `quiet`, the
    quiet hours, has days, from and to."""

    email: str | None
    profile: dict[str, str]
    wallet: dict[str, str]
    quiet: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(User):
    """An account as administrators see it. `metadata` is what your product keeps about the user."""

    email: str | None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a message. `type` is what its bytes are; `state` is `pending` until a picture's size is known and its thumbnail is
    there, or it was found to be none (`failed`)."""

    id: int
    name: str
    type: str
    bytes: int
    width: int | None
    height: int | None
    thumbnail: bool
    state: Literal["ready", "pending", "failed"]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLink:
    """An address of a file that needs no token until `expires_at`."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message. `sender` and `conversation` are ids. A deleted message has an empty body and `deleted_at`."""

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
    reactions: dict[str, list[int]] = field(default_factory=dict)  # emoji -> user ids
    mentions: list[int] = field(default_factory=list)  # the members whom its body names by `@username`, in ascending order
    mentions_all: bool = False  # an owner wrote `@all` in it
    files: list[File] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Message):
    """A message that a search has found. `marks` are the places of the words in its body: [start, length] in code points."""

    marks: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a conversation. `read` is the id of the last message that they have read."""

    user: User
    role: Literal["owner", "member"]
    read: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation. With more than 50 members, `members` has the first 50 and `members_count` is the number of all. `read` is the
    id of the newest message that the caller has read; `presence`, by user id, is there where one small conversation was read.
    `mentions_unread` is the number of unread messages that mention the caller, or all; `level` is the caller's, and `level_until`
    the time when it ends, if it does."""

    id: int
    kind: Literal["direct", "group"]
    title: str | None
    created_at: datetime
    members: list[Member]
    last_message: Message | None = None
    unread: int = 0
    mentions_unread: int = 0
    level: Level = "all"
    level_until: datetime | None = None
    members_count: int | None = None
    read: int | None = None
    presence: dict[int, bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLevel:
    """Which messages of a conversation the caller is notified of, and the time when that ends, if it does."""

    level: Level
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A user whom the caller blocks."""

    user: User
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification of the caller. `count` is the number of events that it stands for."""

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
    """The state that a client starts from, at one position of the log: events continue after `cursor`. `presence` is by user id,
    `blocked` are the ids of users whom the caller blocks. `unread_total` is the number of unread messages in these conversations,
    without those whose level is `none`. Of the unread notifications `notifications_unread_messages` are about messages, which
    conversations count as `unread`, too."""

    cursor: str
    me: Me
    conversations: list[Conversation]
    presence: dict[int, bool]
    notifications_unread: int
    notifications_unread_messages: int = 0
    unread_total: int = 0
    blocked: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event. `id` is its cursor, None for `typing` and `presence`; `data` depends on `type`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event of the whole log, which has the stream that it belongs to."""

    id: str
    type: str
    at: datetime
    data: dict[str, Any]
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedToken:
    """A token for a user. `expires_at` is None for one that does not end."""

    token: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """How many accounts were made, changed and left as they were, and all of them."""

    created: int
    changed: int
    unchanged: int
    items: list[Account]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOutcome:
    """The ids of the accounts whose status was changed, those that had it already, and the users who are not there."""

    changed: list[int]
    unchanged: list[int]
    missing: list[UserRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationType:
    """One of your types of notifications. `words` are templates by locale: `title`, and perhaps `title_more` and `body`."""

    type: str
    words: dict[str, dict[str, str]]
    group_by: list[str] | None
    in_app: bool
    email: Literal["off", "instant", "hourly", "daily"]
    push: bool | None
    urgent: bool
    url: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook. `position` is the cursor up to which all is delivered, `lag_s` the age of the oldest event that is not. `secret`
    is there after creating and rotating only."""

    id: int
    url: str
    types: list[str]
    description: str
    state: Literal["active", "paused", "disabled"]
    position: str
    lag_s: float
    last_status: int | None
    last_error: str | None
    failures: int
    next_attempt_at: datetime | None
    created_by: int
    created_at: datetime
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A message or post as it was when it was reported. It is empty when its author was deleted with all texts."""

    body: str = ""
    created_at: datetime | None = None
    edited_at: datetime | None = None
    conversation: int | None = None
    group: int | None = None
    files: list[str] = field(default_factory=list)  # their names


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of a message or a post. `open_reports` is the number of open ones about it, `deleted` whether it is deleted by now;
    `kind` and `title` are those of the message's conversation."""

    id: int
    state: Literal["open", "closed"]
    message: int | None = None
    post: int | None = None
    reporter: User
    author: User
    reason: str
    evidence: Evidence
    kind: Literal["direct", "group"] | None = None
    title: str | None = None
    deleted: bool
    open_reports: int
    created_at: datetime
    closed_at: datetime | None = None
    closed_by: User | None = None
    action: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingHook:
    """An incoming hook, whose messages are those of the user `bot`. `url` is there after creating and rotating only: it lets one
    write. `title` is that of the conversation."""

    id: int
    conversation: int
    title: str | None = None
    bot: int
    label: str
    created_by: int
    created_at: datetime
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """How many users, conversations or messages were made, changed and left as they were."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """A line that was not imported, by its number from 1 on. `field` is empty if the line itself is wrong."""

    line: int
    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The counts of an import, and the lines that were refused."""

    users: ImportCounts
    conversations: ImportCounts
    messages: ImportCounts
    refused: list[RefusedLine]


@dataclass(frozen=True, slots=True)
class Reset:
    """The present state, in place of all earlier events. It comes without a cursor, and when the cursor has expired."""

    state: State
