"""Sessions: logging in and out, and the tokens that one has."""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

import msgspec

from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, describe
from gateway.http.request import field_error
from gateway.http.tokens import COOKIE, COOKIE_DAYS
from metrics import declared as metrics
from models.accounts import registration
from models.identity import password, token
from models.identity import user as users
from models.identity.user import UserView
from models.log.event import Transaction
from models.store.errors import DeadTokenError, SuspendedError

LABEL_FROM_AGENT_CHARS = 64
WRONG_CODE = "is wrong, used up or expired: ask for a new one"


class LoginAnswer(TypedDict):
    """Who has come in. The token is in a cookie instead, where that was asked for."""

    token: NotRequired[str]
    user: UserView


class SessionHandler(Handler):
    """Begins sessions."""

    def new_token(self, tx: Transaction, user: int) -> str:
        """A token for who calls, inside the transaction."""
        label = self.request.headers.get("User-Agent", "").replace("\0", "")[:LABEL_FROM_AGENT_CHARS]
        return token.create(tx, user, label, self.client_address())

    async def answer_session(self, user: int, made: str, cookie: bool) -> None:
        """200 `{"token","user"}`; or `{"user"}`, and the token in a cookie that scripts can't read."""
        view = await self.services.read(users.view, user)
        if not cookie:
            self.answer({"token": made, "user": view})
            return
        self.set_cookie(
            COOKIE, made, httponly=True, samesite="Strict", secure=self.over_https(), path="/", expires_days=COOKIE_DAYS
        )
        self.xsrf_token  # noqa: B018  reading it sets the cookie that unsafe calls repeat
        self.answer({"user": view})


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Username or e-mail, and password; or e-mail, and a code that was mailed. `cookie` asks for a session cookie."""

    login: str | None = None
    password: str | None = None
    email: str | None = None
    code: str | None = None
    cookie: bool = False


LOGIN_EXAMPLE = {"login": "ana", "password": "a long and quiet one"}


class Login(SessionHandler):
    """POST: a token for a password, or for a mailed code."""

    access = "public"
    rate_limit: ClassVar[str] = "login"

    @describe("Log in", {200: LoginAnswer}, body=Credentials, errors=("unauthorized", "suspended"), example=LOGIN_EXAMPLE)
    async def post(self) -> None:
        """200 `{"token","user"}`; 401, also for a pending account; 403 for a suspended one, after the right password only."""
        credentials = self.decode(Credentials)
        fields = {name for name in ("login", "password", "email", "code") if getattr(credentials, name) is not None}
        if fields == {"login", "password"}:
            user, made = await self._by_password(credentials.login or "", credentials.password or "")
        elif fields == {"email", "code"}:
            user, made = await self._by_code(credentials.email or "", credentials.code or "")
        else:
            raise field_error("password" if "login" in fields else "login", "give login and password, or email and code")
        await self.answer_session(user, made, credentials.cookie)

    async def _by_password(self, login: str, candidate: str) -> tuple[int, str]:
        await self.services.rate_limits.hit("login", f"login:{login.lower()[:255]}")
        found = await self.services.read(users.find_login, login)
        user, account_status, password_hash = found or (0, "", None)
        right = await self.services.hash(password.matches, password_hash, candidate)
        if right and account_status == "suspended":
            raise SuspendedError("the account is suspended")
        if not right or account_status != "active":
            metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
            raise DeadTokenError("login or password is wrong")
        made = await self.services.committer.call(None, lambda tx: self._new_token_if_active(tx, user, password_hash))
        return user, made

    def _new_token_if_active(self, tx: Transaction, user: int, checked_hash: str | None) -> str:
        """The token, unless the account was suspended, or its password changed, since it was looked at."""
        if users.view(user).status != "active" or users.password_hash(user) != checked_hash:
            raise DeadTokenError("login or password is wrong")
        return self.new_token(tx, user)

    async def _by_code(self, address: str, login_code: str) -> tuple[int, str]:
        await self.services.rate_limits.hit("login", f"code:{address.lower()[:255]}")
        secret = self.services.secret

        def run(tx: Transaction) -> tuple[int, str] | None:  # a wrong code is counted, and so is no refusal, which would undo it
            user = registration.log_in(tx, secret, address, login_code)
            return None if user is None else (user, self.new_token(tx, user))

        found = await self.services.committer.call(None, run)
        if found is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise DeadTokenError("the code " + WRONG_CODE)
        return found


class Logout(Handler):
    """POST: the token that calls is dead."""

    @describe("Log out", {204: None})
    async def post(self) -> None:
        """204; its open polls end, on every gateway."""
        user, number = self.actor.user, self.actor.token
        await self.commit(lambda tx: token.revoke(tx, user, [number]))
        self.clear_cookie(COOKIE, path="/")
        self.answer(None, 204)


class SessionAnswer(TypedDict):
    """One of the caller's tokens; `current` is the one that calls."""

    id: int
    label: str
    created_at: str
    last_used_at: str | None
    address: str | None
    current: bool


class Sessions(Handler):
    """The caller's tokens."""

    @describe("List my sessions", {200: Listed[SessionAnswer]}, query=PAGED)
    async def get(self) -> None:
        """A list of `{"id","label","created_at","last_used_at","address","current"}`."""
        after, limit = self.query_page_id()
        found = await self.services.read(token.sessions, self.actor.user, after or 0, limit + 1)
        for session in found:
            session["current"] = session["id"] == self.actor.token
        self.answer_list(found[:limit], (found[limit - 1]["id"],) if len(found) > limit else None)


class Session(Handler):
    """One of the caller's tokens."""

    @describe("End a session", {204: None})
    async def delete(self, session: str) -> None:
        """204: revoked."""
        user, number = self.actor.user, int(session)
        await self.commit(lambda tx: token.revoke(tx, user, [number]))
        self.answer(None, 204)
