"""Accounts and tokens, as managed by admins, and the watches of an admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin import auditing
from gateway.api.admin.base import AdminHandler
from gateway.api.admin.hosted import ADDRESS_RULE, HostedFields, UpsertingHandler
from gateway.api.admin.hosted import EXAMPLE as HOSTED_EXAMPLE
from gateway.api.exports import ZIP, ExportingHandler
from gateway.http.describe import PAGED, Listed, TextParameter, UserReference, chars, describe, many, one_of
from gateway.http.request import field_error
from models.accounts import deletion, hosted, registration, status
from models.accounts.hosted import AccountChanges
from models.accounts.registration import NewUser
from models.identity import password, token
from models.identity import user as users
from models.identity.email_address import MAX_ADDRESS_CHARS
from models.identity.external_id import NOBODY
from models.identity.token import LABEL_CHARS
from models.identity.user import DISPLAY_NAME_CHARS, EXTERNAL_ID_CHARS, ROLES, STATUSES, AccountView, UserView
from models.log.event import Transaction
from models.records import audit
from models.records.audit import DONE, AdminCall
from models.store.clock import rfc3339_or_none
from models.store.database import chunks
from models.store.errors import InvalidError
from models.store.text_rules import is_displayable
from models.transfer import ledger

MAX_USERS_PER_REQUEST = 1000
MAX_TOKEN_S = 400 * 24 * 3600
MAX_IDS_PER_REQUEST = 10_000
IDS_PER_TRANSACTION = 200  # a send waits for the whole transaction
REASON_CHARS = 500
STATUS = TextParameter("status", "only accounts with this status", one_of=STATUSES)
NAME_PREFIX = TextParameter(
    "q", "the beginnings of words of the username or display name, in any order; or the beginning of the e-mail address"
)
TEXTS = TextParameter("texts", "what becomes of messages, posts and comments", one_of=deletion.TEXTS, required=True)
ROLE = TextParameter("role", "only accounts with this role", one_of=ROLES)


class NewUsers(msgspec.Struct, forbid_unknown_fields=True):
    """Accounts to create."""

    users: Annotated[list[NewUser], many(1, MAX_USERS_PER_REQUEST)]


USERS_EXAMPLE = {"users": [{"username": "ana", "email": "ana@example.org"}, {"username": "bob", "email": "bob@example.org"}]}


class CreatedUsers(TypedDict):
    """The accounts that were created."""

    items: list[UserView]


class UserChanges(AccountChanges, forbid_unknown_fields=True):
    """Changes of an account. A field that is left out stays as it is. A username that is taken gets a suffix."""

    role: Annotated[str, one_of(ROLES)] | None = None
    display_name: Annotated[str, chars(1, DISPLAY_NAME_CHARS)] | None = None
    username: Annotated[str, chars(2, 32, enforced=False)] | None = None
    email: Annotated[str, chars(0, MAX_ADDRESS_CHARS, ADDRESS_RULE, enforced=False)] | UnsetType | None = UNSET
    external_id: Annotated[str, chars(1, EXTERNAL_ID_CHARS, "null: none", enforced=False)] | UnsetType | None = UNSET


class DeletionJob(TypedDict):
    """The job that deletes an account."""

    job: int


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A token to create. The label says what it is for."""

    label: Annotated[str, chars(0, LABEL_CHARS)] = ""
    expires_in: Annotated[int, Meta(ge=1, le=MAX_TOKEN_S, description="seconds; without it the token does not expire")] | None = (
        None
    )


class TokenAnswer(TypedDict):
    """A new token, and when it expires: null if it does not."""

    token: str
    expires_at: str | None


class WatchSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The events that an admin is notified of. In a change, those that are left out stay as they are."""

    user_created: bool | UnsetType = msgspec.field(name="user.created", default=UNSET)
    user_status: bool | UnsetType = msgspec.field(name="user.status", default=UNSET)
    report_created: bool | UnsetType = msgspec.field(name="report.created", default=UNSET)
    message_sent: bool | UnsetType = msgspec.field(name="message.sent", default=UNSET)
    user_activity: bool | UnsetType = msgspec.field(name="user.activity", default=UNSET)


class AdminUsers(AdminHandler):
    """All accounts."""

    @describe("List accounts", {200: Listed[AccountView]}, query=(STATUS, ROLE, NAME_PREFIX, *PAGED))
    async def get(self) -> None:
        """Answer a list of USER with `email` and `metadata`, filtered by `?status=`, `?role=` and `?q=`."""
        chosen, role, prefix = self.query_text(STATUS) or None, self.query_text(ROLE) or None, self.query_text(NAME_PREFIX)
        await self.answer_list_by_id(lambda after, count: self.read(users.admin_list, chosen, role, prefix, after or 0, count))

    @describe("Create accounts", {201: CreatedUsers}, body=NewUsers, example=USERS_EXAMPLE)
    async def post(self) -> None:
        """Answer 201 with `{"items":[USER]}`. Either all accounts are created, and are active at once, or none."""
        new = self.decode(NewUsers).users
        errors = await self.read(registration.refusals, new)  # before the slow hashes
        errors += await self.services.hash(_invalid_passwords, new)
        if errors:
            raise InvalidError(*errors)
        hashes = [await self.services.hash(password.hashed, u.password) if u.password is not None else None for u in new]
        created = await self.commit(lambda tx: registration.create_active(tx, new, hashes))
        self.answer({"items": created}, 201)


def _invalid_passwords(users: Sequence[NewUser]) -> list[tuple[str, str]]:
    return [
        error
        for n, u in enumerate(users)
        if u.password is not None
        for error in password.invalid(u.password, (u.username, u.email), f"users.{n}.password")
    ]


class AdminUser(UpsertingHandler):
    """An account."""

    async def resolve_path(self, authenticated: Awaitable[None] | None) -> None:
        """Replace the external id of the path by the id, but for PUT, which may make the account."""
        if self.request.method != "PUT":
            await super().resolve_path(authenticated)
        elif authenticated is not None:
            await authenticated

    @describe(
        "Create or change the account of one of the host's users",
        {201: AccountView, 200: AccountView},
        body=HostedFields,
        errors=("conflict",),
        example=HOSTED_EXAMPLE,
    )
    async def put(self, user: str) -> None:
        """Answer 201 with USER, `email` and `metadata` if `ext:ID` was no account, else 200. Doing it again changes nothing."""
        account, is_new = await self.upsert_one(user, self.decode(HostedFields))
        self.answer(account, 201 if is_new else 200)

    @describe("Change an account", {200: AccountView}, body=UserChanges, errors=("conflict",), example={"display_name": "Ana B."})
    async def patch(self, user: str) -> None:
        """Answer 200 with USER, `email` and `metadata`."""
        change, number = self.decode(UserChanges), int(user)
        errors = hosted.invalid_changes(change)
        if errors:
            raise InvalidError(*errors)
        self.answer(await self.commit(lambda tx: hosted.change(tx, number, change)))

    @describe("Delete an account", {202: DeletionJob}, query=(TEXTS,), errors=("conflict",))
    async def delete(self, user: str) -> None:
        """Answer 202 with `{"job"}`. The account can't be used from now on; the job, which `GET /api/v1/admin/jobs` lists, empties
        what it has left: with `texts=erase` also its messages, posts and comments. Doing it again is answered with the same job."""
        number, texts = int(user), self.query_text(TEXTS)
        by = self.actor.user
        job = await self.commit(lambda tx: deletion.request(tx, number, texts, by))
        await self.read(ledger.append_job, self.services.settings.deletions_path, job)  # a backup of before may be restored now
        self.answer({"job": job}, 202)


class UserExport(AdminHandler, ExportingHandler):
    """The export of any user."""

    @describe("Export a user's data", {200: ZIP})
    async def get(self, user: str) -> None:
        """Answer 200 with a zip of JSON files, all of one moment, as `GET /api/v1/me/export` does for oneself."""
        await self.answer_export(int(user))


class StatusChange(msgspec.Struct, forbid_unknown_fields=True):
    """The accounts whose status changes. They are notified of the reason."""

    ids: Annotated[list[UserReference], many(1, MAX_IDS_PER_REQUEST)]
    reason: Annotated[str, chars(0, REASON_CHARS)] = ""


STATUS_EXAMPLE = {"ids": [3], "reason": "asked for it"}
Verb = Callable[[Transaction, Sequence[int], int, str], status.Outcome]


class StatusHandler(AdminHandler):
    """The base of handlers that change the status of many accounts."""

    async def change(self, verb: Verb, action: str) -> None:
        """Change the status in several transactions, and answer 200 with the outcome.

        Each changed account has an audit record of the action, besides that of the call. The caller is never changed, so that an
        admin is left. A call that was interrupted can be repeated: accounts that were changed are then `unchanged`.
        """
        change = self.decode(StatusChange)
        if change.reason and not is_displayable(change.reason):
            raise field_error("reason", "must have printable characters only")
        metadata = msgspec.json.encode({"reason": change.reason or None, "request_id": self.request_id()})
        call = auditing.call_of(self, DONE)._replace(action=action, body=metadata, request_id="")
        outcome, numbers = status.Outcome([], [], []), await self.user_ids(change.ids)
        for ids in chunks(dict.fromkeys(numbers), IDS_PER_TRANSACTION):
            outcome.add(await self._change_in_one_transaction(verb, ids, change.reason, call))
            self.services.wake_mail()
        unknown = [reference for reference, number in zip(change.ids, numbers, strict=True) if number == NOBODY]
        outcome.missing = [*(number for number in outcome.missing if number != NOBODY), *dict.fromkeys(unknown)]
        self.answer(outcome)

    async def _change_in_one_transaction(self, verb: Verb, ids: Sequence[int], reason: str, call: AdminCall) -> status.Outcome:
        def run(tx: Transaction) -> status.Outcome:
            outcome = verb(tx, ids, call.user, reason)
            audit.record_changes(tx, call, outcome.changed)
            return outcome

        return await self.commit(run)


class Activate(StatusHandler):
    """Activates accounts."""

    @describe("Activate accounts", {200: status.Outcome}, body=StatusChange, example=STATUS_EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"changed":[…],"unchanged":[…],"missing":[…]}`."""
        await self.change(status.activate, "account.activated")


class Suspend(StatusHandler):
    """Suspends accounts: their tokens are revoked, and their open polls end."""

    @describe("Suspend accounts", {200: status.Outcome}, body=StatusChange, example=STATUS_EXAMPLE)
    async def post(self) -> None:
        """Answer 200 with `{"changed":[…],"unchanged":[…],"missing":[…]}`. The caller is never changed."""
        await self.change(status.suspend, "account.suspended")


class AdminTokens(AdminHandler):
    """The tokens of an account."""

    @describe("Create a token for an account", {201: TokenAnswer}, body=NewToken, example={"label": "a bot", "expires_in": 3600})
    async def post(self, user: str) -> None:
        """Answer 201 with `{"token","expires_at"}`. The token is not shown again."""
        new, number = self.decode(NewToken), int(user)
        label = new.label
        if label and not is_displayable(label):
            raise field_error("label", "must have printable characters only")

        def run(tx: Transaction) -> TokenAnswer:
            users.active_view(number)
            expires_ms = None if new.expires_in is None else tx.now_ms + new.expires_in * 1000
            created = token.create(tx, number, label, expires_ms=expires_ms)
            return TokenAnswer(token=created, expires_at=rfc3339_or_none(expires_ms))

        self.answer(await self.commit(run), 201)

    @describe("Revoke an account's tokens", {204: None})
    async def delete(self, user: str) -> None:
        """Answer 204. All tokens of the account are revoked, and those of the host's that it issued up to now."""
        number = int(user)

        def run(tx: Transaction) -> None:
            users.kept_view(number)
            token.end_all(tx, number)

        await self.commit(run)
        self.answer(None, 204)


class Watches(AdminHandler):
    """The watches of the calling admin: the events that they are notified of."""

    @describe("Read my watches", {200: WatchSettings})
    async def get(self) -> None:
        """Answer 200 with `{NAME:bool}`."""
        self.answer(await self.read(users.watches, self.actor.user))

    @describe("Change my watches", {200: WatchSettings}, body=WatchSettings, example={"message.sent": False})
    async def put(self) -> None:
        """Answer 200 with all watches. Those that are left out do not change."""
        changed: dict[str, bool] = msgspec.to_builtins(self.decode(WatchSettings))
        user = self.actor.user
        await self.commit(lambda tx: users.set_watches(tx, user, changed))
        await self.get()
