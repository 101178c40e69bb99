"""Accounts: oneself and other people."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, TypedDict
from zoneinfo import available_timezones

import msgspec

from gateway.api.sessions import WRONG_CODE
from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, TextParameter, chars, describe, one_of
from gateway.http.request import field_error
from metrics import declared as metrics
from models.accounts import status
from models.identity import code, password
from models.identity import user as users
from models.identity.password import PASSWORD_CHARS
from models.identity.user import DISPLAY_NAME_CHARS, ROLES, STATUSES, UserView
from models.log.event import Transaction
from models.notices import pending_mail
from models.store.errors import InvalidError

LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
timezones = cache(available_timezones)  # it walks the whole database of time zones
NAME_PREFIX = TextParameter("q", "what the username or display name begins with")


class Account(TypedDict):
    """USER with e-mail."""

    id: int
    username: str
    display_name: str
    role: Annotated[str, one_of(ROLES)]
    status: Annotated[str, one_of(STATUSES)]
    email: str


class Profile(TypedDict):
    """An IANA time zone, and a language tag."""

    timezone: str
    locale: str


class Wallet(TypedDict):
    """Money is a decimal string."""

    currency: str
    balance: str


class MyAccount(Account):
    """USER with what only its owner sees."""

    profile: Profile
    wallet: Wallet


class AccountChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What a user changes of themselves."""

    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None
    timezone: str | None = None
    locale: str | None = None
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)] | None = None
    current_password: str | None = None
    code: str | None = None


class Me(Handler):
    """Oneself."""

    @describe("Who am I", {200: MyAccount})
    async def get(self) -> None:
        """200 USER with e-mail, profile and wallet."""
        self.answer(await self.services.read(users.me, self.actor.user))

    @describe("Change myself", {200: MyAccount}, body=AccountChanges, example={"display_name": "Ana", "timezone": "Europe/Berlin"})
    async def patch(self) -> None:
        """200, changed. A new password needs the current one, or a code that was mailed just now."""
        changes = self.decode(AccountChanges)
        errors = _invalid_changes(changes)
        hashed = None
        if changes.password is not None:
            me = await self.services.read(users.me, self.actor.user)
            names = (me["username"], me["email"])
            errors += await self.services.hash(password.invalid, changes.password, names)
        if errors:
            raise InvalidError(*errors)
        if changes.password is not None:
            hashed = await self._new_hash(changes)
        if await self.commit(lambda tx: self._change(tx, changes, hashed)) is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise field_error("code", WRONG_CODE)
        await self.get()

    def _change(self, tx: Transaction, changes: AccountChanges, hashed: str | None) -> int | None:
        """Inside the transaction; None when the code is not the one."""
        user, by_code = self.actor.user, hashed is not None and changes.code is not None
        if by_code and code.redeem(tx, self.services.secret, [user], code.LOGIN, changes.code or "") is None:
            return None
        users.change(tx, user, **({"display_name": changes.display_name} if changes.display_name is not None else {}))
        users.set_profile(tx, user, changes.timezone, changes.locale)
        if changes.timezone is not None:
            pending_mail.make_due_now(tx, user)  # digests go by its clock
        if hashed is not None:
            status.change_password(tx, user, hashed)
        return user

    async def _new_hash(self, changes: AccountChanges) -> str:
        await self.services.rate_limits.hit("login", f"user:{self.actor.user}")
        if changes.code is None:
            kept = await self.services.read(users.password_hash, self.actor.user)
            if not await self.services.hash(password.matches, kept, changes.current_password or ""):
                metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
                raise field_error("current_password", "is not the current password; or ask for a code, and give that")
        return await self.services.hash(password.hashed, changes.password or "")


def _invalid_changes(changes: AccountChanges) -> list[tuple[str, str]]:
    errors: list[tuple[str, str]] = []
    if changes.display_name is not None:
        errors += users.invalid_display_name(changes.display_name)
    if changes.timezone is not None and changes.timezone not in timezones():
        errors.append(("timezone", "an IANA name such as Europe/Berlin"))
    if changes.locale is not None and not LOCALE.fullmatch(changes.locale):
        errors.append(("locale", "a language tag such as en or pt-BR"))
    if changes.password is None and (changes.code is not None or changes.current_password is not None):
        errors.append(("password", "is missing: what is to be the new one?"))
    return errors


class Users(Handler):
    """Other people."""

    @describe("Find people", {200: Listed[UserView]}, query=(NAME_PREFIX, *PAGED))
    async def get(self) -> None:
        """A list of active USERs whose username or display name begins with `?q=`."""
        after, limit = self.query_page_id()
        found = await self.services.read(users.search, self.query_text(NAME_PREFIX), after or 0, limit + 1)
        self.answer_list(list(found[:limit]), (found[limit - 1].id,) if len(found) > limit else None)


class User(Handler):
    """One person."""

    @describe("Read a user", {200: UserView})
    async def get(self, user: str) -> None:
        """200 USER, when active."""
        self.answer(await self.services.read(users.active_view, int(user)))
