"""The events of the log behind a message and behind a notification."""

from __future__ import annotations

from typing import Any

import msgspec
from peewee import SQL, fn

from models.chat.message import Message
from models.community.comment import Comment
from models.log.event import ACCOUNTS, EventRow, post_stream, user_stream
from models.notices.notification import MAIL_ONLY_PREFIX, Notification
from models.store.database import fetch_column, fetch_rows
from models.store.errors import NotFoundError

REACTIONS = {"like": "post.liked", "bookmark": "post.bookmarked"}


def event_of_message(message: int) -> int:
    """The event that created a message. Raises NotFoundError."""
    return _only(Message.select(Message.event).where(Message.id == message))


def owner_of(notification: int) -> int:
    """The user whose notification it is. Raises NotFoundError."""
    return _only(Notification.select(Notification.user).where(Notification.id == notification))


def _only(query: Any) -> int:
    for found in fetch_column(query):
        return int(found)
    raise NotFoundError


def event_of_notification(notification: int) -> int | None:
    """The newest event that a notification counts; None for one that no rule made, such as an announcement, and when the event is
    no longer kept."""
    columns = (Notification.user, Notification.grouping, Notification.data)
    for user, grouping, data in fetch_rows(Notification.select(*columns).where(Notification.id == notification)):
        kind = grouping.removeprefix(MAIL_ONLY_PREFIX).partition(":")[0]
        return _event_of(user, kind, msgspec.json.decode(data))
    return None


def _event_of(user: int, kind: str, data: dict[str, Any]) -> int | None:
    """The event of what a notification's data is about. `kind` is the beginning of its grouping."""
    match kind:
        case "conversation":
            found = fetch_column(Message.select(Message.event).where(Message.id == data["message"]))
        case "comments" | "replies":
            found = fetch_column(Comment.select(Comment.event).where(Comment.id == data["comment"]))
        case "like" | "bookmark":
            return _newest(post_stream(data["post"]), REACTIONS[kind], {"post": data["post"], "user": data["user"]})
        case "join":
            return _newest(user_stream(data["user"]), "group.joined", {"group": {"id": data["group"]}})
        case "welcome":
            return _newest(ACCOUNTS, "user.created", {"user": user})
        case _:
            return None
    return int(found[0]) if found else None


def _newest(stream: str, type_: str, fields: dict[str, Any]) -> int | None:
    """The newest event of a stream whose data begins with these fields."""
    beginning = msgspec.json.encode(fields).decode().rstrip("}")
    begins = fn.SUBSTR(EventRow.data, SQL("1"), SQL(str(len(beginning)))) == beginning
    events = EventRow.select(EventRow.id, EventRow.data).where(EventRow.stream == stream, EventRow.type == type_, begins)
    for number, data in fetch_rows(events.order_by(EventRow.id.desc())):
        if data[len(beginning)] in ",}":  # not a longer number
            return int(number)
    return None
