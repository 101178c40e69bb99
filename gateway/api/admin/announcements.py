"""Announcements: notifications from an admin to many users."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.api.admin.users import MAX_IDS_PER_REQUEST
from gateway.http.describe import UserReference, chars, describe, many, one_of
from models.identity.user import ROLES
from models.notices import announcement
from models.notices.announcement import MAX_BODY_CHARS, MAX_DATA_BYTES, AnnouncementContent
from models.notices.notification import MAX_TITLE_CHARS
from models.notices.preference import TYPES
from models.store.errors import InvalidError
from models.store.text_rules import is_displayable


class NewAnnouncement(msgspec.Struct, forbid_unknown_fields=True):
    """An announcement to create. Its receivers are the users of a role, or those of `user_ids`."""

    type: Annotated[str, one_of(TYPES)]
    title: Annotated[str, chars(1, MAX_TITLE_CHARS)]
    body: Annotated[str, chars(0, MAX_BODY_CHARS)]
    role: Annotated[str, one_of(ROLES)] | None = None
    user_ids: Annotated[list[UserReference], many(1, MAX_IDS_PER_REQUEST)] | None = None
    data: dict[str, Any] = {}


EXAMPLE = {"role": "user", "type": "system", "title": "A pause on Sunday", "body": "From 6:00 to 6:15 UTC."}


class AnnouncementJob(TypedDict):
    """The announcement's id in the list of jobs."""

    job: int


class Announcements(AdminHandler):
    """Announcements to all active users of a role, or to the users with the given ids."""

    @describe("Announce to many users", {202: AnnouncementJob}, body=NewAnnouncement, example=EXAMPLE)
    async def post(self) -> None:
        """Answer 202 with `{"job"}` at once. The list of jobs shows its progress."""
        new = self.decode(NewAnnouncement)
        data = msgspec.json.encode(new.data)
        errors = _invalid(new, data)
        if errors:
            raise InvalidError(*errors)
        users = None if new.user_ids is None else await self.user_ids(new.user_ids)
        content = AnnouncementContent(self.actor.user, new.role, users, new.type, new.title, new.body, data)
        self.answer({"job": await self.commit(lambda tx: announcement.create(tx, content))}, 202)


def _invalid(new: NewAnnouncement, data: bytes) -> list[tuple[str, str]]:
    errors = []
    if (new.role is None) == (new.user_ids is None):
        errors.append(("role", "exactly one of role and user_ids must be set"))
    if not is_displayable(new.title):
        errors.append(("title", "must have printable characters only"))
    if "\0" in new.body:
        errors.append(("body", "must not contain NUL characters"))
    if len(data) > MAX_DATA_BYTES:
        errors.append(("data", f"must have at most {MAX_DATA_BYTES} bytes as JSON"))
    return errors
