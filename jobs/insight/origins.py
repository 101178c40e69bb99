"""The events of the log behind a message and behind a notification."""

from __future__ import annotations

from typing import Any

import msgspec
from peewee import SQL, fn

from models.chat.message import Message
from models.community.comment import Comment
from models.log.event import ACCOUNTS, REPORTS, EventRow, conversation_stream, first_after, post_stream, user_stream
from models.notices import notifying
from models.notices.host_types import HOST
from models.notices.notification import MAIL_ONLY_PREFIX, Notification
from models.store.database import fetch_column, fetch_rows
from models.store.errors import NotFoundError

MAX_EVENTS_SCANNED = 2_000  # of one stream, back from the time of a notification: a post may have a million likes
REACTIONS = {"like": "post.liked", "bookmark": "post.bookmarked"}


def event_of_message(message: int) -> int:
    """The event that created a message. Raises NotFoundError, also for an imported one, which has none."""
    return _only(Message.select(Message.event).where(Message.id == message, Message.event > 0))


def owner_of(notification: int) -> int:
    """The user whose notification it is. Raises NotFoundError."""
    return _only(Notification.select(Notification.user).where(Notification.id == notification))


def _only(query: Any) -> int:
    for found in fetch_column(query):
        return int(found)
    raise NotFoundError


def event_of_notification(notification: int) -> int | None:
    """The newest event that a notification counts; None for one that no rule made, such as an announcement, and when the event is
    no longer kept, or is not among the MAX_EVENTS_SCANNED of its stream before the notification."""
    columns = (Notification.user, Notification.grouping, Notification.data, Notification.updated_ms)
    for user, grouping, data, updated_ms in fetch_rows(Notification.select(*columns).where(Notification.id == notification)):
        kind = grouping.removeprefix(MAIL_ONLY_PREFIX).partition(":")[0]
        if kind == HOST:
            return notifying.newest_host_event(user, notification)
        return _event_of(user, kind, msgspec.json.decode(data), updated_ms)
    return None


def _event_of(user: int, kind: str, data: dict[str, Any], until_ms: int) -> int | None:
    """The event, not newer than a time, of what a notification's data is about. `kind` is the beginning of its grouping."""
    match kind:
        case "conversation" if notifying.notification_of_cause(user, f"mention:{data['message']}") is not None:
            conversation = conversation_stream(data["conversation"])
            return _newest(conversation, "message.updated", {"id": data["message"]}, until_ms)
        case "conversation":
            found = fetch_column(Message.select(Message.event).where(Message.id == data["message"]))
        case "comments" | "replies":
            found = fetch_column(Comment.select(Comment.event).where(Comment.id == data["comment"]))
        case "like" | "bookmark":
            return _newest(post_stream(data["post"]), REACTIONS[kind], {"post": data["post"], "user": data["user"]}, until_ms)
        case "join":
            return _newest(user_stream(data["user"]), "group.joined", {"group": {"id": data["group"]}}, until_ms)
        case "welcome":
            return _newest(ACCOUNTS, "user.created", {"user": user}, until_ms)
        case "report":
            return _newest(REPORTS, "report.closed", {"report": data["report"]}, until_ms)
        case _:
            return None
    return int(found[0]) if found else None


def _newest(stream: str, type_: str, fields: dict[str, Any], until_ms: int) -> int | None:
    """The newest event of a stream whose data begins with these fields, among the MAX_EVENTS_SCANNED before a time."""
    beginning = msgspec.json.encode(fields).decode().rstrip("}")
    begins = fn.SUBSTR(EventRow.data, SQL("1"), SQL(str(len(beginning)))) == beginning
    before = (EventRow.stream == stream) & (EventRow.id < first_after(until_ms))
    newest_first = EventRow.id.desc()
    oldest = EventRow.select(EventRow.id).where(before).order_by(newest_first).offset(MAX_EVENTS_SCANNED - 1).limit(1).scalar() or 0
    events = EventRow.select(EventRow.id, EventRow.data).where(before, EventRow.id >= oldest, EventRow.type == type_, begins)
    for number, data in fetch_rows(events.order_by(newest_first)):
        if data[len(beginning)] in ",}":  # not a longer number
            return int(number)
    return None
