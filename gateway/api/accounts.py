"""Accounts: the caller's own, and other people's."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

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
from models.notices import quiet, quiet_hours
from models.notices.quiet import Quiet
from models.store.errors import InvalidError

NAME_PREFIX = TextParameter(
    "q", "the beginnings of words of the username or display name, in any order; `@` may stand before the first"
)


class Account(TypedDict):
    """USER, with e-mail address."""

    id: int
    username: str
    display_name: str
    role: Annotated[str, one_of(ROLES)]
    status: Annotated[str, one_of(STATUSES)]
    external_id: str | None
    bot: NotRequired[bool]
    email: str | None


class Profile(TypedDict):
    """A profile: an IANA time zone and a language tag."""

    timezone: str
    locale: str


class Wallet(TypedDict):
    """A wallet; the balance is a decimal string."""

    currency: str
    balance: str


class MyAccount(Account):
    """USER, with the fields that only the user sees."""

    profile: Profile
    quiet: Quiet | None
    wallet: Wallet


class AccountChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of the caller's own account. A field that is left out stays as it is."""

    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None
    timezone: str | None = None
    locale: str | None = None
    quiet: Quiet | UnsetType | None = UNSET
    password: Annotated[str, chars(*PASSWORD_CHARS, enforced=False)] | None = None
    current_password: str | None = None
    code: str | None = None


class Me(Handler):
    """The caller's own account."""

    @describe("Read my account", {200: MyAccount})
    async def get(self) -> None:
        """Answer 200 with USER, e-mail, profile, quiet hours and wallet."""
        self.answer(await self.read(users.me, self.actor.user))

    @describe(
        "Change my account", {200: MyAccount}, body=AccountChanges, example={"display_name": "Ana", "timezone": "Europe/Berlin"}
    )
    async def patch(self) -> None:
        """Answer 200 with the changed account. A new password requires the current one, or a login code from a mail.

        It ends all other sessions, with their open polls, on every gateway.

        Quiet hours begin on each of `days` at `from`, in the profile's time zone, and end at `to`: on the next day if that is not
        later than `from`. Mail and push wait until then; what is urgent does not.
        """
        changes = self.decode(AccountChanges)
        errors = _invalid_changes(changes)
        hashed = None
        if changes.password is not None:
            me = await self.read(users.me, self.actor.user)
            names = (me["username"], me["email"] or "")
            errors += await self.services.hash(password.invalid, changes.password, names)
        if errors:
            raise InvalidError(*errors)
        if changes.password is not None:
            hashed = await self._new_hash(changes)
        if changes.display_name is not None:  # everybody hears of a name, as of a post
            await self.services.rate_limits.hit("send", f"user:{self.actor.counted_user}")
        if await self.commit(lambda tx: self._change(tx, changes, hashed)) is None:
            metrics.AUTH_FAILURES_TOTAL.labels("code").inc()
            raise field_error("code", WRONG_CODE)
        await self.get()

    def _change(self, tx: Transaction, changes: AccountChanges, hashed: str | None) -> int | None:
        """Change the account inside a transaction. Returns None if the login code is wrong."""
        user, by_code = self.actor.user, hashed is not None and changes.code is not None
        if by_code and code.redeem(tx, self.services.secret, [user], code.LOGIN, changes.code or "") is None:
            return None
        users.change(tx, user, **({"display_name": changes.display_name} if changes.display_name is not None else {}))
        users.set_profile(tx, user, changes.timezone, changes.locale)
        if changes.timezone is not None:
            quiet_hours.recompute(tx, [user])
        if changes.quiet is not UNSET:
            quiet_hours.set_hours(tx, user, changes.quiet)
        if hashed is not None:
            status.change_password(tx, user, hashed, self.actor.token)
        return user

    async def _new_hash(self, changes: AccountChanges) -> str:
        await self.services.rate_limits.hit("login", f"user:{self.actor.counted_user}")
        if changes.code is None:
            current_hash = await self.read(users.password_hash, self.actor.user)
            if not await self.services.hash(password.matches, current_hash, changes.current_password or ""):
                metrics.AUTH_FAILURES_TOTAL.labels("password").inc()
                raise field_error("current_password", "is not the current password; a login code can be sent instead")
        return await self.services.hash(password.hashed, changes.password or "")


def _invalid_changes(changes: AccountChanges) -> list[tuple[str, str]]:
    errors: list[tuple[str, str]] = []
    if changes.display_name is not None:
        errors += users.invalid_display_name(changes.display_name)
    errors += users.invalid_profile(changes.timezone, changes.locale)
    if isinstance(changes.quiet, Quiet):
        errors += quiet.invalid(changes.quiet)
    if changes.password is None and (changes.code is not None or changes.current_password is not None):
        errors.append(("password", "is required with current_password or code: the new password"))
    return errors


class Users(Handler):
    """All active users."""

    @describe("Find users", {200: Listed[UserView]}, query=(NAME_PREFIX, *PAGED))
    async def get(self) -> None:
        """Answer a list of active USERs, by id: those of whose username or display name each word of `?q=` begins a word, without
        regard to case, accents and Unicode form. Every Chinese, Japanese or Korean character begins a word. Only those whom the
        caller may see are listed."""
        caller, text = self.actor.user, self.query_text(NAME_PREFIX)
        await self.answer_list_by_id(
            lambda after, count: self.services.search.of_account(caller, users.search, text, after or 0, count, self.bound())
        )


class User(Handler):
    """One user."""

    @describe("Read a user", {200: UserView})
    async def get(self, user: str) -> None:
        """Answer 200 with USER if the user is active and the caller may see them, else 404."""
        self.answer(await self.read(users.seen_view, int(user), self.bound()))
