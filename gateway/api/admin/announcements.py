"""Announcements: admins tell many people at once."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.api.admin.users import IDS_AT_ONCE
from gateway.http.describe import Id, chars, describe, many, one_of
from models.identity.user import ROLES
from models.notices import announcement
from models.notices.announcement import BODY_CHARS, DATA_BYTES, AnnouncementContent
from models.notices.notification import TITLE_CHARS
from models.notices.preference import TYPES
from models.store.errors import InvalidError
from models.store.text_rules import is_displayable


class NewAnnouncement(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be said, and to whom."""

    type: Annotated[str, one_of(TYPES)]
    title: Annotated[str, chars(1, TITLE_CHARS)]
    body: Annotated[str, chars(0, BODY_CHARS)]
    role: Annotated[str, one_of(ROLES)] | None = None
    user_ids: Annotated[list[Id], many(1, IDS_AT_ONCE)] | None = None
    data: dict[str, Any] = {}


EXAMPLE = {"role": "user", "type": "system", "title": "A pause on Sunday", "body": "From 6:00 to 6:15 UTC."}


class AnnouncementJob(TypedDict):
    """Its number in the list of jobs."""

    job: int


class Announcements(AdminHandler):
    """POST: notifies all active users of a role, or those named."""

    @describe("Announce to many people", {202: AnnouncementJob}, body=NewAnnouncement, example=EXAMPLE)
    async def post(self) -> None:
        """202 `{"job"}`, at once: how far it is stands in the list of jobs."""
        new = self.decode(NewAnnouncement)
        data = msgspec.json.encode(new.data)
        errors = _invalid(new, data)
        if errors:
            raise InvalidError(*errors)
        what = AnnouncementContent(self.actor.user, new.role, new.user_ids, new.type, new.title, new.body, data)
        self.answer({"job": await self.commit(lambda tx: announcement.create(tx, what))}, 202)


def _invalid(new: NewAnnouncement, data: bytes) -> list[tuple[str, str]]:
    errors = []
    if (new.role is None) == (new.user_ids is None):
        errors.append(("role", "must be set, or else user_ids, but not both"))
    if not is_displayable(new.title):
        errors.append(("title", "must have printable characters only"))
    if "\0" in new.body:
        errors.append(("body", "must not contain NUL characters"))
    if len(data) > DATA_BYTES:
        errors.append(("data", f"must have at most {DATA_BYTES} bytes as JSON"))
    return errors
