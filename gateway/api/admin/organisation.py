"""The organisation's name, and a mail that shows whether mail arrives."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import chars, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from models.accounts import setup
from models.identity import user as users
from models.log.event import Transaction
from models.notices import outbox
from models.notices.outbox import CODE_PRIORITY, NewMail
from models.store.errors import ConflictError
from models.store.text_rules import is_displayable


class OrganisationName(msgspec.Struct, forbid_unknown_fields=True):
    """The organisation's name."""

    organisation: Annotated[str, chars(*setup.NAME_CHARS)]


class Organisation(AdminHandler):
    """The organisation."""

    @describe("Name the organisation", {200: OrganisationName}, body=OrganisationName, example={"organisation": "Hill School"})
    async def patch(self) -> None:
        """Answer 200 with `{"organisation"}`."""
        name = self.decode(OrganisationName)
        if not is_displayable(name.organisation):
            raise field_error("organisation", "must have printable characters only")
        await self.commit(lambda _: setup.name_organisation(name.organisation))
        self.answer(name)


class MailSent(TypedDict):
    """The address that the mail goes to."""

    to: str


class TestMailAnswer(TypedDict):
    """The newest of these mails to the caller. `error` is that of its last attempt; it is tried again while it is `queued`."""

    to: str
    state: str
    queued_at: str
    ended_at: str | None
    error: str | None


class MailTest(AdminHandler):
    """Sends a mail to the calling admin."""

    @describe("Read what became of my test mail", {200: TestMailAnswer}, errors=("not-found",))
    async def get(self) -> None:
        """Answer 200 with `{"to","state","queued_at","ended_at","error"}`; 404 if there was none of late. `state` is `queued`,
        `sent`, `dead` or `dropped`."""
        newest = await self.read(outbox.newest, self.actor.user, "test")
        if newest is None:
            raise ProblemError("not-found")
        self.answer(newest)

    @describe("Send myself a mail", {202: MailSent}, errors=("conflict",))
    async def post(self) -> None:
        """Answer 202 with `{"to"}`. GET says what became of it; when it fails, it is listed in `/admin/jobs`."""
        user = self.actor.user

        def run(tx: Transaction) -> str:
            me = users.me(user)
            if me["email"] is None:
                raise ConflictError("your account has no e-mail address")
            outbox.queue(tx, [NewMail("test", user, me["email"], me["display_name"], {}, priority=CODE_PRIORITY)])
            return str(me["email"])

        address = await self.commit(run)
        self.services.wake_mail()
        self.answer({"to": address}, 202)
