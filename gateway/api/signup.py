"""Signing up: an attempt, and the mailed code that activates it. Login codes are requested here, too.

No answer, status or duration shows whether an address is known: the same amount is read, hashed and written in both cases
(models/accounts/registration.py).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Annotated, ClassVar, TypedDict

import msgspec

from gateway.api.sessions import WRONG_CODE, LoginAnswer, SessionHandler
from gateway.http.base import Handler
from gateway.http.client_address import limited_as
from gateway.http.describe import Accepted, chars, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics import declared as metrics
from models.accounts import attempt as attempts
from models.accounts import invitation as invitations
from models.accounts import registration
from models.accounts.invitation import Invited
from models.accounts.registration import NewUser
from models.identity import code, email_address, password
from models.identity.password import PASSWORD_CHARS
from models.identity.user import DISPLAY_NAME_CHARS
from models.log.event import Transaction
from models.store.clock import now_ms
from models.store.errors import ConflictError, InvalidError


class SignupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """An attempt to sign up. `timezone` (an IANA name) and `locale` (a language tag) are the browser's. `attempt` is that of an
    earlier answer, in whose place this one comes: the earlier username is free for it."""

    email: str
    username: str
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)]
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None
    timezone: str | None = None
    locale: str | None = None
    attempt: str | None = None

    def new_user(self) -> NewUser:
        """The account that is requested, without its password."""
        return NewUser(self.username, self.email, self.display_name, timezone=self.timezone, locale=self.locale)


STAGES = {stage: metrics.SIGNUP_STAGE_SECONDS.labels(stage) for stage in ("hash", "wait", "commit")}
EXAMPLE = {"email": "cleo@example.org", "username": "cleo", "password": "a long and quiet one"}


class CodeSent(TypedDict):
    """The mailed code, which expires in `expires_in` seconds."""

    expires_in: int


class SignupAnswer(TypedDict):
    """The answer to an attempt, the same for known and unknown addresses. `attempt` is a secret by which it can be repeated."""

    username: str
    otp: CodeSent
    attempt: str


class Signup(Handler):
    """Starts an attempt to sign up."""

    access = "public"
    rate_limit: ClassVar[str] = "signup"

    @describe("Sign up", {201: SignupAnswer}, body=SignupRequest, errors=("conflict", "forbidden"), example=EXAMPLE)
    async def post(self) -> None:
        """Answer 201 with `{"username","otp":{"expires_in"},"attempt"}`; 409 if the username is taken or reserved by another
        attempt, 403 if sign-up is off."""
        if self.services.settings.signup == "closed":
            raise ProblemError("forbidden", "sign-up is closed: only an admin can create an account, or invite you")
        await self.sign_up(registration.sign_up)

    async def sign_up(self, start: Callable[[Transaction, str, NewUser, str], int]) -> None:
        """Check the request, start the attempt with `start(tx, secret, new, password_hash)`, and answer."""
        request, secret = self.decode(SignupRequest), self.services.secret
        new = request.new_user()
        errors = registration.invalid_fields(new)
        errors += await self.services.hash(password.invalid, request.password, (request.username, request.email))
        if errors:
            raise InvalidError(*errors)
        await self.services.rate_limits.hit("signup", f"email:{email_address.key(request.email)}")
        if await self.services.read(self._is_reserved, request):  # before the slow hash
            raise ConflictError(registration.RESERVED)
        began = perf_counter()
        hashed = await self.services.hash(password.hashed, request.password)
        hashing_s = perf_counter() - began

        def run(tx: Transaction) -> int:
            attempts.forget(tx, secret, request.attempt)
            return start(tx, secret, new, hashed)

        operation = self.services.committer.submit(run)
        account = await operation.future
        self.services.wake_mail()
        STAGES["hash"].observe(hashing_s)
        STAGES["wait"].observe(operation.started - operation.submitted)
        STAGES["commit"].observe(operation.committed - operation.started)
        self.answer_attempt(request.username, attempts.token(secret, account), 201)

    def _is_reserved(self, request: SignupRequest) -> bool:
        """Whether the username is reserved by another attempt or account."""
        earlier = attempts.find(self.services.secret, request.attempt, now_ms())
        own = earlier is not None and earlier[1].lower() == request.username.lower()
        return not own and registration.is_reserved(request.username)

    def answer_attempt(self, username: str, attempt: str, status: int) -> None:
        """Answer with SignupAnswer."""
        self.answer({"username": username, "otp": {"expires_in": code.VALID_FOR_S}, "attempt": attempt}, status)


class Repeat(msgspec.Struct, forbid_unknown_fields=True):
    """The attempt of an earlier answer, and the address if that was wrong."""

    attempt: str
    email: str | None = None


class SignupCode(Signup):
    """Sends the code of an attempt again."""

    @describe("Send the code again", {200: SignupAnswer}, body=Repeat, example={"attempt": "41.5e0c", "email": "cleo@example.org"})
    async def post(self) -> None:
        """Mail a new code, to another address if one is given; the earlier code is void, with its wrong tries. Answer 200 as a
        sign-up does, or 422 when the attempt is over: verified, or older than a day."""
        request, secret = self.decode(Repeat), self.services.secret
        if request.email is not None and not email_address.is_mailable(request.email):
            raise field_error("email", f"must be {email_address.EXPECTED}")
        attempt = await self.services.read(attempts.find, secret, request.attempt, now_ms())
        if attempt is None:
            raise field_error("attempt", attempts.OVER)
        address = request.email or attempt[2]
        await self.services.rate_limits.hit("signup", f"email:{email_address.key(address)}")
        allowed = (invitations.invited,) if self.services.settings.signup == "closed" else ()
        username = await self.services.committer.call(
            None, lambda tx: attempts.send_again(tx, secret, request.attempt, request.email, *allowed)
        )
        self.services.wake_mail()
        self.answer_attempt(username, request.attempt, 200)


class InvitedSignup(Signup):
    """An invitation, by its code."""

    rate_limit: ClassVar[str] = "login"  # its uses are a limit: all of an office may sign up within a minute

    @describe("Read an invitation", {200: Invited}, errors=("not-found",))
    async def get(self, invitation: str) -> None:
        """Answer 200 with `{"group"}`, or 404 when the code is unknown, over or used up."""
        self.answer(await self.services.read(invitations.find, invitation, now_ms()))

    @describe(
        "Sign up by an invitation", {201: SignupAnswer}, body=SignupRequest, errors=("conflict", "not-found"), example=EXAMPLE
    )
    async def post(self, invitation: str) -> None:  # type: ignore[override]
        """Answer as a sign-up does, also where sign-up is closed; 404 when the code is unknown, over or used up."""
        earlier = await self.services.read(attempts.find, self.services.secret, self.decode(SignupRequest).attempt, now_ms())
        if earlier is None:
            await self.services.read(invitations.find, invitation, now_ms())  # before the slow hash
        else:  # one use may send any number of mails
            await self.services.rate_limits.hit("signup", f"address:{limited_as(self.client_address())}")
        await self.sign_up(lambda tx, secret, new, hashed: invitations.sign_up(tx, secret, invitation, new, hashed))


class VerifyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The mailed code of an attempt. `cookie` requests a session cookie."""

    email: str
    code: str
    cookie: bool = False


VERIFY_EXAMPLE = {"email": "cleo@example.org", "code": "123456"}


class Verify(SessionHandler):
    """Activates the account of an attempt by its code."""

    access = "public"
    rate_limit: ClassVar[str] = "login"

    @describe("Verify an address", {200: LoginAnswer}, body=VerifyRequest, example=VERIFY_EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"token","user"}`, or 422 for a code that is wrong, expired or void."""
        request, secret = self.decode(VerifyRequest), self.services.secret
        is_closed = self.services.settings.signup == "closed"
        await self.services.rate_limits.hit("login", f"code:{email_address.key(request.email)[:255]}")

        def run(tx: Transaction) -> tuple[int, str] | None:
            allowed = (invitations.invited,) if is_closed else ()
            user = registration.verify(tx, secret, request.email, request.code, *allowed)
            if user is not None:
                invitations.accept(tx, [user])
            return None if user is None else (user, self.new_token(tx, user))

        session = await self.services.committer.call(None, run)
        if session is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise field_error("code", WRONG_CODE)
        self.services.wake_background()
        await self.answer_session(*session, cookie=request.cookie)


class CodeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The e-mail address of an account."""

    email: str


class LoginCode(Handler):
    """Sends a login code by mail."""

    access = "public"
    rate_limit: ClassVar[str] = "otp"

    @describe("Request a login code", {202: Accepted}, body=CodeRequest, example={"email": "cleo@example.org"})
    async def post(self) -> None:
        """Answer 202 with `{}` for every address. Only an active account gets a code."""
        address, secret = self.decode(CodeRequest).email, self.services.secret
        if not email_address.is_mailable(address):
            raise field_error("email", f"must be {email_address.EXPECTED}")
        await self.services.rate_limits.hit("otp", f"email:{email_address.key(address)}")
        await self.services.committer.call(None, lambda tx: registration.queue_login_code(tx, secret, address))
        self.services.wake_mail()
        self.answer({}, 202)
