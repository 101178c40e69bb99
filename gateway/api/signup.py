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
from gateway.http.describe import Accepted, chars, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics import declared as metrics
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
    """An attempt to sign up."""

    email: str
    username: str
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)]
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None


STAGES = {stage: metrics.SIGNUP_STAGE_SECONDS.labels(stage) for stage in ("hash", "wait", "commit")}
EXAMPLE = {"email": "cleo@example.org", "username": "cleo", "password": "a long and quiet one"}


class CodeSent(TypedDict):
    """The mailed code, which expires in `expires_in` seconds."""

    expires_in: int


class SignupAnswer(TypedDict):
    """The answer to an attempt, the same for known and unknown addresses."""

    username: str
    otp: CodeSent


class Signup(Handler):
    """Starts an attempt to sign up."""

    access = "public"
    rate_limit: ClassVar[str] = "signup"

    @describe("Sign up", {201: SignupAnswer}, body=SignupRequest, errors=("conflict", "forbidden"), example=EXAMPLE)
    async def post(self) -> None:
        """Answer 201 with `{"username","otp":{"expires_in"}}`; 409 if the username is taken or reserved, 403 if sign-up is off."""
        if self.services.settings.signup == "closed":
            raise ProblemError("forbidden", "sign-up is closed: only an admin can create an account, or invite you")
        await self.sign_up(registration.sign_up)

    async def sign_up(self, run: Callable[[Transaction, str, NewUser, str], object]) -> None:
        """Check the request, start the attempt with `run(tx, secret, new, password_hash)`, and answer."""
        request = self.decode(SignupRequest)
        errors = registration.invalid_fields(request.username, request.email, request.display_name)
        errors += await self.services.hash(password.invalid, request.password, (request.username, request.email))
        if errors:
            raise InvalidError(*errors)
        await self.services.rate_limits.hit("signup", f"email:{email_address.key(request.email)}")
        if await self.services.read(registration.is_reserved, request.username):  # before the slow hash
            raise ConflictError(registration.RESERVED)
        began = perf_counter()
        hashed = await self.services.hash(password.hashed, request.password)
        hashing_s = perf_counter() - began
        new, secret = NewUser(request.username, request.email, request.display_name), self.services.secret
        operation = self.services.committer.submit(lambda tx: run(tx, secret, new, hashed))
        await operation.future
        self.services.wake_mail()
        STAGES["hash"].observe(hashing_s)
        STAGES["wait"].observe(operation.started - operation.submitted)
        STAGES["commit"].observe(operation.committed - operation.started)
        self.answer({"username": request.username, "otp": {"expires_in": code.VALID_FOR_S}}, 201)


class InvitedSignup(Signup):
    """An invitation, by its code."""

    @describe("Read an invitation", {200: Invited}, errors=("not-found",))
    async def get(self, invitation: str) -> None:
        """Answer 200 with `{"group"}`, or 404 when the code is unknown, over or used up."""
        self.answer(await self.services.read(invitations.find, invitation, now_ms()))

    @describe(
        "Sign up by an invitation", {201: SignupAnswer}, body=SignupRequest, errors=("conflict", "not-found"), example=EXAMPLE
    )
    async def post(self, invitation: str) -> None:  # type: ignore[override]
        """Answer as a sign-up does, also where sign-up is closed; 404 when the code is unknown, over or used up."""
        await self.services.read(invitations.find, invitation, now_ms())  # before the slow hash
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
                invitations.accept(tx, user)
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
