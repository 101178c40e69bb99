"""Notifications that the host requests: one call is one event, for any number of receivers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import Id, UserReference, chars, describe, many, one_of
from jobs.rules.host import EXPECTED_URL, safe_url
from models.identity import external_id
from models.identity.user import ROLES
from models.notices import host_notices
from models.notices.host_notices import (
    CONVERSATION,
    MAX_KEY_CHARS,
    MAX_VALUES_BYTES,
    ROLE,
    TOPIC,
    USERS,
    NewNotice,
)
from models.notices.host_types import MAX_NAME_CHARS
from models.notices.topics import MAX_TOPIC_CHARS
from models.store.clock import now_ms
from models.store.errors import InvalidError

MAX_RECEIVERS = 10_000
MAX_AHEAD_DAYS = 400
AUDIENCES = (USERS, TOPIC, CONVERSATION, ROLE)
EXPECTED_TOPIC = f"must be 1 to {MAX_TOPIC_CHARS} printable characters without spaces"


class NewHostNotice(msgspec.Struct, forbid_unknown_fields=True):
    """A notification to request. Exactly one of `to`, `topic`, `conversation` and `role` says who receives it."""

    type: Annotated[str, chars(1, MAX_NAME_CHARS)]
    to: Annotated[list[UserReference], many(1, MAX_RECEIVERS)] | None = None
    topic: Annotated[str, chars(1, MAX_TOPIC_CHARS)] | None = None
    conversation: Id | None = None
    role: Annotated[str, one_of(ROLES)] | None = None
    actor: UserReference | None = None
    values: dict[str, Any] = {}
    url: Annotated[str, chars(1, 2_000)] | None = None
    dedupe: Annotated[str, chars(1, MAX_KEY_CHARS)] | None = None
    not_before: Annotated[datetime, Meta(tz=True)] | None = None
    unless_read: bool = False


EXAMPLE = {"type": "order.shipped", "to": ["ext:42"], "values": {"order": 1017}, "dedupe": "order-1017-shipped"}


class Requested(TypedDict):
    """The cursor of the event."""

    event: str


class Notify(AdminHandler):
    """Notifications that the host requests."""

    @describe("Notify users of something in the host", {202: Requested}, body=NewHostNotice, example=EXAMPLE, errors=("not-found",))
    async def post(self) -> None:
        """Answer 202 with `{"event"}`, the cursor of the one event that it is; a call with a `dedupe` that was used before has the
        event of then. The receivers are active users: those of `to` or of a role, or those who are in the topic or conversation
        at the event. The actor is not notified. It waits until `not_before`. With `unless_read`, it is left out for those who have
        read all messages of the conversation up to the event, or else an earlier notification of the same group."""
        new = self.decode(NewHostNotice)
        values = msgspec.json.encode(new.values)
        errors = _invalid(new, values)
        if errors:
            raise InvalidError(*errors)
        audience = next(name for name in AUDIENCES if getattr(new, name) is not None)
        receivers = str(getattr(new, audience))
        if new.to is not None:
            receivers = msgspec.json.encode(sorted(set(await self.user_ids(new.to)))).decode()
        notice = NewNotice(
            type=new.type,
            audience=audience,
            receivers=receivers,
            actor=None if new.actor is None else await self.user_id(new.actor),
            data=values,
            url=None if new.url is None else safe_url(new.url),
            key=new.dedupe,
            due_ms=None if new.not_before is None else int(new.not_before.timestamp() * 1000),
            unless_read=new.unless_read,
        )
        event = await self.commit(lambda tx: host_notices.request(tx, notice))
        self.answer({"event": self.services.hub.cursor(event)}, 202)


def _invalid(new: NewHostNotice, values: bytes) -> list[tuple[str, str]]:
    errors = []
    if sum(getattr(new, name) is not None for name in AUDIENCES) != 1:
        errors.append(("to", "exactly one of to, topic, conversation and role must be set"))
    if new.topic is not None and not external_id.is_valid(new.topic):
        errors.append(("topic", EXPECTED_TOPIC))
    if len(values) > MAX_VALUES_BYTES:
        errors.append(("values", f"must have at most {MAX_VALUES_BYTES} bytes as JSON"))
    if new.url is not None and safe_url(new.url) is None:
        errors.append(("url", EXPECTED_URL))
    if new.not_before is not None and new.not_before.timestamp() * 1000 > now_ms() + MAX_AHEAD_DAYS * 86_400_000:
        errors.append(("not_before", f"must be at most {MAX_AHEAD_DAYS} days ahead"))
    return errors
