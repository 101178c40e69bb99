"""Accounts: logging in and out, oneself and one's sessions."""

from __future__ import annotations

import re
from functools import cache
from typing import ClassVar
from zoneinfo import available_timezones

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from gateway.auth import COOKIE
from gateway.base import Handler, field_error
from metrics import declared as metrics
from models import token
from models import user as users
from models.errors import DeadTokenError, InvalidError, SuspendedError
from models.event import Log

PASSWORD_CHARS = (10, 200)
LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
LABEL_FROM_AGENT_CHARS = 64
timezones = cache(available_timezones)  # it walks the whole database of time zones
hasher = PasswordHasher()
NOBODY = hasher.hash("nobody's password")  # verified where there is no user, so that time tells nothing


def check_password(hashed: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where there is none."""
    try:
        return hasher.verify(hashed or NOBODY, password) and hashed is not None
    except VerificationError:
        return False


def password_errors(password: str, field: str = "password") -> list[tuple[str, str]]:
    """(field, message) when the password won't do."""
    low, high = PASSWORD_CHARS
    return [] if low <= len(password) <= high else [(field, f"{low} to {high} characters")]


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Username or e-mail, and password. `cookie` asks for a session cookie instead of a token."""

    login: str
    password: str
    cookie: bool = False


class Login(Handler):
    """POST: a token for a password."""

    access = "public"
    limit: ClassVar[str] = "login"

    async def post(self) -> None:
        """200 `{"token","user"}`; 401, also for a pending account; 403 for a suspended one, after the right password only."""
        asked = self.decode(Credentials)
        await self.services.limits.hit("login", f"login:{asked.login.lower()[:255]}")
        found = await self.services.read(users.for_login, asked.login)
        number, status, hashed = found or (0, "", None)
        right = await self.services.hash(check_password, hashed, asked.password)
        if right and status == "suspended":
            raise SuspendedError("the account is suspended")
        if not right or status != "active":
            metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
            raise DeadTokenError("login or password is wrong")
        label = self.request.headers.get("User-Agent", "")[:LABEL_FROM_AGENT_CHARS]
        made = await self.services.committer.call(None, lambda log: token.create(log, number, label, self.client_address()))
        user = await self.services.read(users.view, number)
        if asked.cookie:
            self.set_cookie(COOKIE, made, httponly=True, samesite="Strict", secure=self.over_https(), path="/")
            self.xsrf_token  # noqa: B018  reading it sets the cookie that unsafe calls repeat
            self.answer({"user": user})
        else:
            self.answer({"token": made, "user": user})


class Logout(Handler):
    """POST: the token that calls is dead."""

    async def post(self) -> None:
        """204; its open polls end, on every gateway."""
        user, number = self.actor.user, self.actor.token
        await self.commit(lambda log: token.revoke(log, user, [number]))
        self.clear_cookie(COOKIE, path="/")
        self.answer(None, 204)


class Changes(msgspec.Struct, forbid_unknown_fields=True):
    """What a user changes of themselves."""

    display_name: str | None = None
    timezone: str | None = None
    locale: str | None = None
    password: str | None = None
    current_password: str | None = None


class Me(Handler):
    """Oneself."""

    async def get(self) -> None:
        """200 USER with e-mail, profile and wallet."""
        self.answer(await self.services.read(users.me, self.actor.user))

    async def patch(self) -> None:
        """200, changed. A new password needs the current one."""
        asked = self.decode(Changes)
        errors = _change_errors(asked)
        if errors:
            raise InvalidError(*errors)
        user, hashed = self.actor.user, None
        if asked.password is not None:
            hashed = await self._new_hash(asked)

        def run(log: Log) -> None:
            fields = {"display_name": asked.display_name} if asked.display_name is not None else {}
            users.change(log, user, **fields)
            users.set_profile(log, user, asked.timezone, asked.locale)
            if hashed is not None:
                users.set_password(log, user, hashed)

        await self.commit(run)
        await self.get()

    async def _new_hash(self, asked: Changes) -> str:
        current = await self.services.read(users.password_hash, self.actor.user)
        await self.services.limits.hit("login", f"user:{self.actor.user}")
        if not await self.services.hash(check_password, current, asked.current_password or ""):
            metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
            raise field_error("current_password", "is not the current password")
        return await self.services.hash(hasher.hash, asked.password or "")


def _change_errors(asked: Changes) -> list[tuple[str, str]]:
    errors: list[tuple[str, str]] = []
    if asked.display_name is not None:
        errors += users.invalid_display_name(asked.display_name)
    if asked.timezone is not None and asked.timezone not in timezones():
        errors.append(("timezone", "an IANA name such as Europe/Berlin"))
    if asked.locale is not None and not LOCALE.fullmatch(asked.locale):
        errors.append(("locale", "a language tag such as en or pt-BR"))
    if asked.password is not None:
        errors += password_errors(asked.password)
    return errors


class Sessions(Handler):
    """The caller's tokens."""

    async def get(self) -> None:
        """A list of `{"id","label","created_at","last_used_at","address","current"}`."""
        after, limit = self.page_number()
        found = await self.services.read(token.sessions, self.actor.user, after or 0, limit + 1)
        for session in found:
            session["current"] = session["id"] == self.actor.token
        self.listed(found[:limit], found[limit - 1]["id"] if len(found) > limit else None)


class Session(Handler):
    """One of them."""

    async def delete(self, session: str) -> None:
        """204: revoked."""
        user, number = self.actor.user, int(session)
        await self.commit(lambda log: token.revoke(log, user, [number]))
        self.answer(None, 204)


class Users(Handler):
    """Other people."""

    async def get(self) -> None:
        """A list of active USERs whose username or display name begins with `?q=`."""
        after, limit = self.page_number()
        found = await self.services.read(users.search, self.text("q"), after or 0, limit + 1)
        self.listed(list(found[:limit]), found[limit - 1].id if len(found) > limit else None)


class User(Handler):
    """One of them."""

    async def get(self, user: str) -> None:
        """200 USER, when active."""
        self.answer(await self.services.read(users.active_view, int(user)))
