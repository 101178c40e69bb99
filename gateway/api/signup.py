"""Making an account oneself: an attempt, and the mailed code that makes it active. Login codes are asked for here, too.

Nothing here tells a stranger whether an address is known, in answer, status or time: for one that is, or isn't, as much is read,
hashed and written (models/accounts/registration.py).
"""

from __future__ import annotations

from time import perf_counter
from typing import Annotated, ClassVar, TypedDict

import msgspec

from gateway.api.sessions import WRONG_CODE, LoginAnswer, SessionHandler
from gateway.http.base import Handler
from gateway.http.describe import Accepted, chars, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics import declared as metrics
from models.accounts import registration
from models.accounts.registration import NewUser
from models.identity import code, password
from models.identity.password import PASSWORD_CHARS
from models.identity.user import DISPLAY_NAME_CHARS
from models.log.event import Transaction
from models.store.errors import ConflictError, InvalidError


class SignupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants an account."""

    email: str
    username: str
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)]
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None


EXAMPLE = {"email": "cleo@example.org", "username": "cleo", "password": "a long and quiet one"}


class CodeSent(TypedDict):
    """For how many seconds the mailed code is good."""

    expires_in: int


class SignupAnswer(TypedDict):
    """What is told, whatever is known of the address."""

    username: str
    otp: CodeSent


class Signup(Handler):
    """POST: an attempt to sign up."""

    access = "public"
    rate_limit: ClassVar[str] = "signup"

    @describe("Sign up", {201: SignupAnswer}, body=SignupRequest, errors=("conflict", "forbidden"), example=EXAMPLE)
    async def post(self) -> None:
        """201 `{"username","otp":{"expires_in"}}`; 409 when the username is taken or reserved, 403 where signing up is closed."""
        require_open(self)
        request = self.decode(SignupRequest)
        errors = registration.invalid_fields(request.username, request.email, request.display_name)
        errors += await self.services.hash(password.invalid, request.password, (request.username, request.email))
        if errors:
            raise InvalidError(*errors)
        await self.services.rate_limits.hit("signup", f"email:{request.email.lower()}")
        if await self.services.read(registration.is_reserved, request.username):  # before a hash is made, which takes its time
            raise ConflictError(registration.RESERVED)
        began = perf_counter()
        hashed = await self.services.hash(password.hashed, request.password)
        hashing_s = perf_counter() - began
        new, secret = NewUser(request.username, request.email, request.display_name), self.services.secret
        operation = self.services.committer.submit(lambda tx: registration.sign_up(tx, secret, new, hashed))
        await operation.future
        self.services.wake_mail()
        for stage, seconds in (
            ("hash", hashing_s),
            ("wait", operation.started - operation.submitted),
            ("commit", operation.committed - operation.started),
        ):
            metrics.SIGNUP_STAGE_SECONDS.labels(stage).observe(seconds)
        self.answer({"username": request.username, "otp": {"expires_in": code.GOOD_FOR_S}}, 201)


def require_open(handler: Handler) -> None:
    """Raises ProblemError 403 where only admins make accounts."""
    if handler.services.settings.signup == "closed":
        raise ProblemError("forbidden", "signing up is closed here: ask an admin for an account")


class VerifyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The code that was mailed."""

    email: str
    code: str
    cookie: bool = False


VERIFY_EXAMPLE = {"email": "cleo@example.org", "code": "123456"}


class Verify(SessionHandler):
    """POST: the code of an attempt, which makes its account active."""

    access = "public"
    rate_limit: ClassVar[str] = "login"

    @describe("Verify an address", {200: LoginAnswer}, body=VerifyRequest, errors=("forbidden",), example=VERIFY_EXAMPLE)
    async def post(self) -> None:
        """200 `{"token","user"}`; 422 for a code that is wrong, expired or void."""
        require_open(self)
        request, secret = self.decode(VerifyRequest), self.services.secret
        await self.services.rate_limits.hit("login", f"code:{request.email.lower()[:255]}")

        def run(tx: Transaction) -> tuple[int, str] | None:
            user = registration.verify(tx, secret, request.email, request.code)
            return None if user is None else (user, self.new_token(tx, user))

        found = await self.services.committer.call(None, run)
        if found is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise field_error("code", WRONG_CODE)
        self.services.wake_background()
        await self.answer_session(*found, request.cookie)


class CodeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whose address it is."""

    email: str


class LoginCode(Handler):
    """POST: a login code by mail."""

    access = "public"
    rate_limit: ClassVar[str] = "otp"

    @describe("Ask for a login code", {202: Accepted}, body=CodeRequest, example={"email": "cleo@example.org"})
    async def post(self) -> None:
        """202 `{}`, whoever asks and whoever is meant; a code goes to an active account's address."""
        address, secret = self.decode(CodeRequest).email, self.services.secret
        if not registration.EMAIL.fullmatch(address):
            raise field_error("email", "an e-mail address such as ana@example.org")
        await self.services.rate_limits.hit("otp", f"email:{address.lower()}")
        await self.services.committer.call(None, lambda tx: registration.queue_login_code(tx, secret, address))
        self.services.wake_mail()
        self.answer({}, 202)
