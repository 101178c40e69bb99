"""Sessions: logging in and out, and the list of the caller's tokens."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NotRequired, TypedDict

import msgspec

from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, chars, describe
from gateway.http.request import field_error
from gateway.http.tokens import COOKIE, COOKIE_DAYS
from metrics import declared as metrics
from models.accounts import registration, status
from models.identity import email_address, password, token
from models.identity import user as users
from models.identity.password import PASSWORD_CHARS
from models.identity.user import UserView
from models.log.event import Transaction
from models.store.errors import DeadTokenError, InvalidError, SuspendedError

USER_AGENT_LABEL_CHARS = 64
# Marks of a browser's User-Agent and the name, in the order of looking: most name others that they resemble.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "CrOS", "Mac OS X", "Linux")
WRONG_CODE = "is wrong, used or expired: request a new code"


def session_label(user_agent: str) -> str:
    """Return the label of a session: the User-Agent, of browsers only what tells them apart, `Mozilla/5.0 (Linux) Firefox`."""
    user_agent = user_agent.replace("\0", "")
    browser = next((name for mark, name in BROWSERS if mark in user_agent), None)
    system = next((name for name in SYSTEMS if name in user_agent), None)
    if user_agent.startswith("Mozilla/") and browser and system:
        return f"Mozilla/5.0 ({system}) {browser}"
    return user_agent[:USER_AGENT_LABEL_CHARS]


class LoginAnswer(TypedDict):
    """The user that logged in, and the token, unless the request chose a session cookie."""

    token: NotRequired[str]
    user: UserView


class SessionHandler(Handler):
    """The base of handlers that create a session."""

    def new_token(self, tx: Transaction, user: int) -> str:
        """Create a token in a transaction, with the client's User-Agent as its label."""
        label = session_label(self.request.headers.get("User-Agent", ""))
        return token.create(tx, user, label, self.client_address(), is_session=True)

    async def answer_session(self, user: int, new_token: str, *, cookie: bool) -> None:
        """Answer 200 with `{"token","user"}`, or with `{"user"}` and the token in a cookie that scripts cannot read."""
        view = await self.services.read(users.view, user)
        if not cookie:
            self.answer({"token": new_token, "user": view})
            return
        self.set_cookie(COOKIE, new_token, httponly=True, samesite="Strict", path="/", expires_days=COOKIE_DAYS)
        self.xsrf_token  # noqa: B018  reading it sets the XSRF cookie
        self.answer({"user": view})


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Login (username or e-mail) and password, or e-mail and a mailed code. `new_password`, with a code, is set and ends all other
    sessions. `cookie` requests a session cookie."""

    login: str | None = None
    password: str | None = None
    email: str | None = None
    code: str | None = None
    new_password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)] | None = None
    cookie: bool = False


LOGIN_EXAMPLE = {"login": "ana", "password": "a long and quiet one"}


class Login(SessionHandler):
    """Creates a token for a password or a mailed code."""

    access = "public"
    rate_limit: ClassVar[str] = "login"

    @describe("Log in", {200: LoginAnswer}, body=Credentials, errors=("unauthorized", "suspended"), example=LOGIN_EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"token","user"}`; 401, also for a pending account; 403 for a suspended one and its right password."""
        credentials = self.decode(Credentials)
        fields = {name for name in ("login", "password", "email", "code") if getattr(credentials, name) is not None}
        if credentials.new_password is not None and "code" not in fields:
            raise field_error("new_password", "goes with email and code")
        if fields == {"login", "password"}:
            user, new_token = await self._by_password((credentials.login or "").strip(), credentials.password or "")
        elif fields == {"email", "code"}:
            user, new_token = await self._by_code(credentials)
        else:
            raise field_error("password" if "login" in fields else "login", "is required: login and password, or email and code")
        await self.answer_session(user, new_token, cookie=credentials.cookie)

    async def _by_password(self, login: str, candidate: str) -> tuple[int, str]:
        await self.services.rate_limits.hit("login", f"login:{users.login_key(login)[:255]}")
        account = await self.services.read(users.find_login, login)
        user, account_status, password_hash = account or (0, "", None)
        is_right = await self.services.hash(password.matches, password_hash, candidate)
        if is_right and account_status == "suspended":
            raise SuspendedError("the account is suspended")
        if not is_right or account_status != "active":
            metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
            self.services.login_failures.add(user or None, self.client_address())
            raise DeadTokenError("login or password is wrong")
        assert password_hash is not None
        rehashed = await self.services.hash(password.rehashed, password_hash, candidate)
        new_token = await self.services.committer.call(None, lambda tx: self._log_in(tx, user, password_hash, rehashed))
        return user, new_token

    def _log_in(self, tx: Transaction, user: int, checked_hash: str, rehashed: str | None) -> str:
        """Create a token. Raises DeadTokenError if the account was suspended or its password changed since it was checked."""
        if users.view(user).status != "active" or users.password_hash(user) != checked_hash:
            raise DeadTokenError("login or password is wrong")
        if rehashed is not None:
            users.set_password(tx, user, rehashed)
        return self.new_token(tx, user)

    async def _by_code(self, credentials: Credentials) -> tuple[int, str]:
        address, new_password = (credentials.email or "").strip(), credentials.new_password
        await self.services.rate_limits.hit("login", f"code:{email_address.key(address)[:255]}")
        secret, hashed = self.services.secret, await self._new_hash(address, new_password)

        def run(tx: Transaction) -> tuple[int, str] | None:  # None for a wrong code: an exception would undo the count of tries
            user = registration.log_in(tx, secret, address, credentials.code or "")
            if user is not None and new_password is not None:
                _set_password(tx, user, new_password, hashed)
            return None if user is None else (user, self.new_token(tx, user))

        session = await self.services.committer.call(None, run)
        if session is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            account = await self.services.read(users.find_login, address)
            self.services.login_failures.add(account and account[0], self.client_address())
            raise DeadTokenError("the code " + WRONG_CODE)
        if new_password is not None:
            self.services.wake_background()
        return session

    async def _new_hash(self, address: str, new_password: str | None) -> str:
        """Return the hash of a new password, if there is one. It takes equally long for unknown addresses."""
        if new_password is None:
            return ""
        errors = await self.services.hash(password.invalid, new_password, (address,), "new_password")
        if errors:
            raise InvalidError(*errors)
        return await self.services.hash(password.hashed, new_password)


def _set_password(tx: Transaction, user: int, new_password: str, hashed: str) -> None:
    """Set a password. Raises InvalidError if it is the username, which only the owner of the code learns; the code stays valid."""
    errors = password.invalid(new_password, (users.view(user).username,), "new_password")
    if errors:
        raise InvalidError(*errors)
    status.change_password(tx, user, hashed)


class Logout(Handler):
    """Revokes the token of the call."""

    writes_count: ClassVar[bool] = False
    refuses_acting = "the token is an admin's, and logs nobody else out"

    @describe("Log out", {204: None})
    async def post(self) -> None:
        """Answer 204. The token's open polls end, on every gateway."""
        user, number = self.actor.user, self.actor.token
        await self.commit(lambda tx: token.revoke(tx, user, [number]))
        self.clear_cookie(COOKIE, path="/")
        if self.get_cookie(COOKIE) is not None:
            self.set_header("Clear-Site-Data", '"cache"')  # the files that the browser has loaded: others may use it next
        self.answer(None, 204)


class SessionAnswer(TypedDict):
    """A token of the caller. `current` is true for the token of this call."""

    id: int
    label: str
    created_at: str
    last_used_at: str | None
    address: str | None
    current: bool


class Sessions(Handler):
    """The sessions of the caller: their tokens."""

    @describe("List my sessions", {200: Listed[SessionAnswer]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of `{"id","label","created_at","last_used_at","address","current"}`."""

        async def read(after: int | None, count: int) -> list[dict[str, Any]]:
            fetched = await self.read(token.sessions, self.actor.user, after or 0, count)
            return [{**session, "current": session["id"] == self.actor.token} for session in fetched]

        await self.answer_list_by_id(read)


class Session(Handler):
    """A session of the caller."""

    writes_count: ClassVar[bool] = False

    @describe("End a session", {204: None})
    async def delete(self, session: str) -> None:
        """Answer 204. The token is revoked."""
        user, number = self.actor.user, int(session)
        await self.commit(lambda tx: token.revoke(tx, user, [number]))
        self.answer(None, 204)
