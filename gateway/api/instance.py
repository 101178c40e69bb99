"""The instance: what everybody may know of it, and its first admin."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import msgspec

from gateway.api.sessions import LoginAnswer, SessionHandler
from gateway.http.base import Handler
from gateway.http.describe import chars, describe, one_of
from gateway.http.errors import ProblemError
from models.accounts import registration, setup
from models.accounts.registration import NewUser
from models.identity import contacts, password
from models.identity.password import PASSWORD_CHARS
from models.identity.user import DISPLAY_NAME_CHARS
from models.log.event import Transaction
from models.store.errors import InvalidError
from models.store.text_rules import is_displayable


class InstanceAnswer(TypedDict):
    """The organisation's name, whether everybody may sign up, whether the first admin is still to be made, whether mail is sent
    and not only written to files, and whom users may reach: everyone, those with whom they share a conversation or group, or nobody
    in new conversations, which only admins make."""

    organisation: str | None
    signup: str
    setup: bool
    mail: bool
    contacts: Annotated[str, one_of(contacts.MODES)]


class Instance(Handler):
    """The instance."""

    access = "public"

    @describe("Read the instance", {200: InstanceAnswer})
    async def get(self) -> None:
        """Answer 200 with `{"organisation","signup","setup","mail","contacts"}`."""
        name, is_needed = await self.services.read(lambda: (setup.organisation(), setup.is_needed()))
        settings = self.services.settings
        is_open = {"signup": settings.signup, "contacts": settings.contacts}
        self.answer({"organisation": name, "setup": is_needed, "mail": settings.sends_mail, **is_open})


class FirstAdmin(msgspec.Struct, forbid_unknown_fields=True):
    """The first admin, with the code that the terminal shows. `cookie` requests a session cookie."""

    code: str
    email: str
    username: str
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)]
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None
    organisation: Annotated[str, chars(*setup.NAME_CHARS)] | None = None
    timezone: str | None = None
    locale: str | None = None
    cookie: bool = False

    def new_user(self) -> NewUser:
        """The account that is requested, without its password."""
        new = NewUser(self.username, self.email, self.display_name, timezone=self.timezone, locale=self.locale)
        return msgspec.structs.replace(new, role="admin")


EXAMPLE = {"code": "K7QFB-2MXDA", "email": "root@example.org", "username": "root", "password": "a long and quiet one"}


class Setup(SessionHandler):
    """Makes the first admin."""

    access = "public"
    rate_limit: ClassVar[str] = "login"

    @describe("Make the first admin", {200: LoginAnswer}, body=FirstAdmin, errors=("not-found",), example=EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"token","user"}`; 404 as soon as there is an admin, 422 for a wrong code."""
        request = self.decode(FirstAdmin)
        is_right = await self.services.read(setup.matches, request.code)  # before the slow hash
        if not await self.services.read(setup.is_needed):  # after it: the code of an admin who was made meanwhile is gone
            raise ProblemError("not-found")
        new = request.new_user()
        errors = registration.invalid_fields(new)
        errors += await self.services.hash(password.invalid, request.password, (request.username, request.email))
        if request.organisation is not None and not is_displayable(request.organisation):
            errors.append(("organisation", "must have printable characters only"))
        if not is_right:
            errors.append(("code", "is not the one that the terminal shows"))
        if errors:
            raise InvalidError(*errors)
        hashed = await self.services.hash(password.hashed, request.password)

        def run(tx: Transaction) -> tuple[int, str]:
            made = setup.make_admin(tx, request.code, new, hashed, request.organisation)
            return made.id, self.new_token(tx, made.id)

        session = await self.services.committer.call(None, run)
        await self.answer_session(*session, cookie=request.cookie)
