"""The host's people: accounts that the product around Bellwire makes and keeps up to date, named by its own ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import chars, describe, many, one_of
from gateway.http.errors import ProblemError
from models.accounts import hosted
from models.accounts.hosted import MAX_METADATA_BYTES, MAX_USERS, STATUSES, HostedUser, PreparedUser, Upserted
from models.identity.email_address import MAX_ADDRESS_CHARS
from models.identity.external_id import PREFIX
from models.identity.user import DISPLAY_NAME_CHARS, EXTERNAL_ID_CHARS, LOCALE_CHARS, ROLES, AccountView
from models.store.errors import InvalidError

MAX_USERNAME_CHARS = 200  # of the host, of which one with its own limits is made
USERNAME_RULE = "if it is taken, or no username of Bellwire, a similar one; absent in a new account, one is made of the others"
ADDRESS_RULE = "left out if another account has it; null or empty: none"
METADATA = Meta(description=f"what the host keeps about the user; at most {MAX_METADATA_BYTES} bytes as JSON; null: none")
EXAMPLE: dict[str, Any] = {"username": "maria", "display_name": "Maria José", "locale": "pt-BR", "metadata": {"plan": "gold"}}
UPSERT_EXAMPLE: dict[str, Any] = {"users": [{"external_id": "42", **EXAMPLE}, {"external_id": "43", "display_name": "Ben"}]}


class HostedFields(msgspec.Struct, forbid_unknown_fields=True):
    """A user as the host describes them. What is absent stays as it is, and has its default in a new account."""

    username: Annotated[str, chars(0, MAX_USERNAME_CHARS, USERNAME_RULE)] | None = None
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS, enforced=False)] | None = None
    email: Annotated[str, chars(0, MAX_ADDRESS_CHARS, ADDRESS_RULE, enforced=False)] | UnsetType | None = UNSET
    role: Annotated[str, one_of(ROLES)] | None = None
    status: Annotated[str, one_of(STATUSES)] | None = None
    locale: Annotated[str, chars(2, LOCALE_CHARS, "a language tag such as en or pt-BR", enforced=False)] | None = None
    timezone: Annotated[str, chars(1, 64, "an IANA name such as Europe/Berlin", enforced=False)] | None = None
    metadata: Annotated[dict[str, Any], METADATA] | UnsetType | None = UNSET


class UpsertedUser(HostedFields, kw_only=True):
    """A user of the host, by its own id."""

    external_id: Annotated[str, chars(1, EXTERNAL_ID_CHARS, "printable, without spaces", enforced=False)]


class UsersToUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """Users of the host, each with another external id."""

    users: Annotated[list[UpsertedUser], many(1, MAX_USERS)]


class UpsertingHandler(AdminHandler):
    """The base of handlers that make and change accounts of the host's users."""

    async def upsert(self, people: Sequence[PreparedUser]) -> Upserted:
        """Make and change accounts in the next transaction, and let mails about changes of status be sent."""
        by = self.actor.user
        outcome = await self.commit(lambda tx: hosted.upsert_prepared(tx, people, by))
        self.services.wake_mail()
        return outcome

    async def upsert_one(self, reference: str, fields: HostedFields) -> tuple[AccountView, bool]:
        """Make or change one account, and return it, and whether it is new. Raises ProblemError 404 for what is no external id, and
        InvalidError."""
        if not reference.startswith(PREFIX):
            raise ProblemError("not-found", "an account is put by its external id: ext:ID")
        user = HostedUser(reference.removeprefix(PREFIX), **msgspec.structs.asdict(fields))
        errors = hosted.invalid_fields(user)
        if errors:
            raise InvalidError(*errors)
        outcome = await self.upsert(hosted.prepare([user]))
        return outcome.items[0], outcome.created == 1


class Upserts(UpsertingHandler):
    """Makes and changes the accounts of many users of the host."""

    @describe("Create or change accounts of the host's users", {200: Upserted}, body=UsersToUpsert, example=UPSERT_EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"created","changed","unchanged","items":[USER]}`: all or none, in the order of the request."""
        self.answer(await self.upsert(await self.read(_prepared, self.decode(UsersToUpsert).users)))


def _prepared(users: Sequence[UpsertedUser]) -> list[PreparedUser]:
    return hosted.prepare([HostedUser(**msgspec.structs.asdict(user)) for user in users])
