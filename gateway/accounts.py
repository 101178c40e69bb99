"""Accounts: logging in and out, oneself and one's sessions."""

from __future__ import annotations

import re
from functools import cache
from typing import ClassVar
from zoneinfo import available_timezones

import msgspec

from gateway.asked import field_error
from gateway.auth import COOKIE
from gateway.base import Handler
from metrics import declared as metrics
from models import account, code, mailing, password, status, token
from models import user as users
from models.errors import DeadTokenError, InvalidError, SuspendedError
from models.event import Log

LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
LABEL_FROM_AGENT_CHARS = 64
timezones = cache(available_timezones)  # it walks the whole database of time zones
WRONG_CODE = "is wrong, used up or expired: ask for a new one"


class SessionHandler(Handler):
    """Begins sessions."""

    def new_token(self, log: Log, user: int) -> str:
        """A token for who calls, inside the transaction."""
        label = self.request.headers.get("User-Agent", "").replace("\0", "")[:LABEL_FROM_AGENT_CHARS]
        return token.create(log, user, label, self.client_address())

    async def answer_session(self, user: int, made: str, cookie: bool) -> None:
        """200 `{"token","user"}`; or `{"user"}`, and the token in a cookie that scripts can't read."""
        view = await self.services.read(users.view, user)
        if not cookie:
            self.answer({"token": made, "user": view})
            return
        self.set_cookie(COOKIE, made, httponly=True, samesite="Strict", secure=self.over_https(), path="/")
        self.xsrf_token  # noqa: B018  reading it sets the cookie that unsafe calls repeat
        self.answer({"user": view})


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Username or e-mail, and password; or e-mail, and a code that was mailed. `cookie` asks for a session cookie."""

    login: str | None = None
    password: str | None = None
    email: str | None = None
    code: str | None = None
    cookie: bool = False


class Login(SessionHandler):
    """POST: a token for a password, or for a mailed code."""

    access = "public"
    limit: ClassVar[str] = "login"

    async def post(self) -> None:
        """200 `{"token","user"}`; 401, also for a pending account; 403 for a suspended one, after the right password only."""
        asked = self.decode(Credentials)
        given = {name for name in ("login", "password", "email", "code") if getattr(asked, name) is not None}
        if given == {"login", "password"}:
            user, made = await self._by_password(asked.login or "", asked.password or "")
        elif given == {"email", "code"}:
            user, made = await self._by_code(asked.email or "", asked.code or "")
        else:
            raise field_error("password" if "login" in given else "login", "give login and password, or email and code")
        await self.answer_session(user, made, asked.cookie)

    async def _by_password(self, login: str, given: str) -> tuple[int, str]:
        await self.services.limits.hit("login", f"login:{login.lower()[:255]}")
        found = await self.services.read(users.for_login, login)
        number, standing, kept = found or (0, "", None)
        right = await self.services.hash(password.matches, kept, given)
        if right and standing == "suspended":
            raise SuspendedError("the account is suspended")
        if not right or standing != "active":
            metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
            raise DeadTokenError("login or password is wrong")
        made = await self.services.committer.call(None, lambda log: self._still_active(log, number, kept))
        return number, made

    def _still_active(self, log: Log, user: int, kept: str | None) -> str:
        """The token, unless the account was suspended, or its password changed, since it was looked at."""
        if users.view(user).status != "active" or users.password_hash(user) != kept:
            raise DeadTokenError("login or password is wrong")
        return self.new_token(log, user)

    async def _by_code(self, address: str, given: str) -> tuple[int, str]:
        await self.services.limits.hit("login", f"code:{address.lower()[:255]}")
        secret = self.services.secret

        def run(log: Log) -> tuple[int, str] | None:  # a wrong code is counted, and so is no refusal, which would undo it
            user = account.log_in(log, secret, address, given)
            return None if user is None else (user, self.new_token(log, user))

        found = await self.services.committer.call(None, run)
        if found is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise DeadTokenError("the code " + WRONG_CODE)
        return found


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
    code: str | None = None


class Me(Handler):
    """Oneself."""

    async def get(self) -> None:
        """200 USER with e-mail, profile and wallet."""
        self.answer(await self.services.read(users.me, self.actor.user))

    async def patch(self) -> None:
        """200, changed. A new password needs the current one, or a code that was mailed just now."""
        asked = self.decode(Changes)
        errors = _change_errors(asked)
        hashed = None
        if asked.password is not None:
            me = await self.services.read(users.me, self.actor.user)
            names = (me["username"], me["email"])
            errors += await self.services.hash(password.invalid, asked.password, names)
        if errors:
            raise InvalidError(*errors)
        if asked.password is not None:
            hashed = await self._new_hash(asked)
        if await self.commit(lambda log: self._change(log, asked, hashed)) is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise field_error("code", WRONG_CODE)
        await self.get()

    def _change(self, log: Log, asked: Changes, hashed: str | None) -> int | None:
        """Inside the transaction; None when the code is not the one."""
        user, by_code = self.actor.user, hashed is not None and asked.code is not None
        if by_code and code.spend(log, self.services.secret, [user], code.LOGIN, asked.code or "") is None:
            return None
        users.change(log, user, **({"display_name": asked.display_name} if asked.display_name is not None else {}))
        users.set_profile(log, user, asked.timezone, asked.locale)
        if asked.timezone is not None:
            mailing.reconsider(log, user)  # digests go by its clock
        if hashed is not None:
            status.change_password(log, user, hashed)
        return user

    async def _new_hash(self, asked: Changes) -> str:
        await self.services.limits.hit("login", f"user:{self.actor.user}")
        if asked.code is None:
            kept = await self.services.read(users.password_hash, self.actor.user)
            if not await self.services.hash(password.matches, kept, asked.current_password or ""):
                metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
                raise field_error("current_password", "is not the current password; or ask for a code, and give that")
        return await self.services.hash(password.hashed, asked.password or "")


def _change_errors(asked: Changes) -> list[tuple[str, str]]:
    errors: list[tuple[str, str]] = []
    if asked.display_name is not None:
        errors += users.invalid_display_name(asked.display_name)
    if asked.timezone is not None and asked.timezone not in timezones():
        errors.append(("timezone", "an IANA name such as Europe/Berlin"))
    if asked.locale is not None and not LOCALE.fullmatch(asked.locale):
        errors.append(("locale", "a language tag such as en or pt-BR"))
    if asked.password is None and (asked.code is not None or asked.current_password is not None):
        errors.append(("password", "is missing: what is to be the new one?"))
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
