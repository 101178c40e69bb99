"""Accounts that the host makes and keeps up to date: the product that embeds Bellwire and has users of its own.

`upsert` makes the accounts of external ids that nobody has yet, and changes of the others what is given. Doing it again changes
nothing and appends no event. The log's lock lets one transaction in at a time, so an account is made once, however many gateways
are told of it at once. `prepare` computes beforehand what needs no store: other sends wait for the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from models.accounts import registration, status, usernames
from models.accounts.registration import USERNAME, USERNAME_RULE, NewAccount
from models.accounts.usernames import NameWish
from models.identity import code, email_address, external_id
from models.identity import user as users
from models.identity.user import (
    ACCOUNT_COLUMNS,
    DISPLAY_NAME_CHARS,
    LOCALE,
    ROLES,
    TIMEZONE,
    AccountView,
    SearchName,
    UserView,
    display_key,
    insert_search_names,
)
from models.log.event import POSTS, Transaction, user_stream
from models.notices import outbox, quiet_hours
from models.store import facts
from models.store.database import chunks, execute, placeholders, rows, values_cte
from models.store.errors import ConflictError, InvalidError, NotFoundError
from models.store.text_rules import is_displayable

STATUSES = ("active", "suspended")
MAX_METADATA_BYTES = 4 * 1024
MAX_USERS = 1_000  # of one upsert
MAX_KEYS_PER_QUERY = 500
UPDATED_PER_STATEMENT = 200
CHANGED_COLUMNS = (
    *("username", "username_key", "email", "email_key", "display_name", "display_key"),
    *("role", "external_id", "metadata"),
)


class HostedUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user of the host. What is absent stays as it is, and has its default in a new account.

    `email` and `metadata` may be None, and `email` empty: then the account has none.
    """

    external_id: str
    username: str | None = None
    display_name: str | None = None
    email: str | UnsetType | None = UNSET
    role: str | None = None
    status: str | None = None
    locale: str | None = None
    timezone: str | None = None
    metadata: dict[str, Any] | UnsetType | None = UNSET


class AccountChanges(msgspec.Struct):
    """Changes of one account, of the host or not. What is absent stays as it is; `email` and `external_id` may be None."""

    role: str | None = None
    display_name: str | None = None
    username: str | None = None
    email: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET


class Upserted(msgspec.Struct):
    """How many accounts were created, changed and left as they were, and all of them in the order of the request."""

    created: int
    changed: int
    unchanged: int
    items: list[AccountView]


class PreparedUser(msgspec.Struct):
    """A user with what needs no store: the usernames of what is given (empty: none is) and of a new account, the address's key, and
    the metadata as JSON."""

    requested: HostedUser
    username: str
    new_username: str
    email_key: str | None
    metadata: str | None


class StoredAccount(msgspec.Struct):
    """An account as it is stored, or is to be."""

    view: UserView
    email: str
    email_key: str
    metadata: str | None
    timezone: str
    locale: str


def invalid_fields(user: HostedUser, prefix: str = "") -> list[tuple[str, str]]:
    """Return (field, message) of each field that is not allowed. A username always is: another one is made of it."""
    errors: list[tuple[str, str]] = []
    if not external_id.is_valid(user.external_id):
        errors.append((f"{prefix}external_id", external_id.EXPECTED))
    if user.display_name is not None:
        errors += users.invalid_display_name(user.display_name, prefix)
    if user.email and not email_address.is_mailable(user.email):
        errors.append((f"{prefix}email", email_address.EXPECTED))
    for field, value, allowed in (("role", user.role, ROLES), ("status", user.status, STATUSES)):
        if value is not None and value not in allowed:
            errors.append((f"{prefix}{field}", "must be one of " + ", ".join(allowed)))
    if user.metadata and len(_encoded(user.metadata) or "") > MAX_METADATA_BYTES:
        errors.append((f"{prefix}metadata", f"must be at most {MAX_METADATA_BYTES} bytes as JSON"))
    return errors + users.invalid_profile(user.timezone, user.locale, prefix)


def invalid_changes(changes: AccountChanges) -> list[tuple[str, str]]:
    """Return (field, message) of each field that is not allowed."""
    external = "none" if changes.external_id is UNSET or changes.external_id is None else changes.external_id
    user = HostedUser(external, None, changes.display_name, changes.email, changes.role)
    errors = [] if changes.username is None or USERNAME.fullmatch(changes.username) else [("username", USERNAME_RULE)]
    return errors + invalid_fields(user)


def prepare(people: Sequence[HostedUser]) -> list[PreparedUser]:
    """Check the users and compute what needs no store. Raises InvalidError, which names each wrong field as `users.N.field`."""
    errors: list[tuple[str, str]] = []
    seen: set[str] = set()
    for n, user in enumerate(people):
        errors += invalid_fields(user, f"users.{n}.")
        if user.external_id in seen:
            errors.append((f"users.{n}.external_id", "is there twice"))
        seen.add(user.external_id)
    if errors:
        raise InvalidError(*errors)
    return [_prepared(user) for user in people]


def _prepared(user: HostedUser) -> PreparedUser:
    username = usernames.made_of(user.username)
    of_new = username or usernames.made_of(user.display_name) or usernames.made_of_external_id(user.external_id)
    return PreparedUser(user, username, of_new, email_address.key(user.email) if user.email else None, _encoded(user.metadata))


def _encoded(metadata: dict[str, Any] | UnsetType | None) -> str | None:
    """Return metadata as JSON, the same text for the same members."""
    return msgspec.json.encode(metadata, order="deterministic").decode() if metadata else None


def upsert(tx: Transaction, people: Sequence[HostedUser], by: int = 0) -> Upserted:
    """Make or change the accounts of these external ids, all or none. `by` is the admin who does it, 0 for the host's own tokens.

    A username that is taken gets a suffix. An address that another account has is left out: the account has none. Suspending ends
    the tokens, except of `by`, who stays active. Raises InvalidError, which names each wrong field as `users.N.field`, and
    ConflictError if no active admin would be left.
    """
    return upsert_prepared(tx, prepare(people), by)


def upsert_prepared(tx: Transaction, people: Sequence[PreparedUser], by: int = 0, issued_ms: int | None = None) -> Upserted:
    """Do what `upsert` does, for users that were prepared outside the transaction. `issued_ms` is of the host's token that says it,
    None if an admin says it now."""
    found = _stored("u.external_id", [user.requested.external_id for user in people])
    stored = {account.view.external_id: account for account in found}
    before = [stored.get(user.requested.external_id) for user in people]
    after = _apply(tx, people, before, by)
    record_time(tx, [account.view.id for account in after], issued_ms)
    created = before.count(None)
    changed = sum(old is not None and old != new for old, new in zip(before, after, strict=True))
    return Upserted(created, changed, len(people) - created - changed, [_shown(account) for account in after])


def would_change(user: PreparedUser, now_ms: int) -> bool:
    """Return whether `upsert_prepared` would make or change an account now. It only reads."""
    found = _stored("u.external_id", [user.requested.external_id])
    if not found:
        return True
    (name,), (address,) = _choose_names(now_ms, [user], found), _choose_addresses([user], found)
    return _merged(user, found[0], name, address) != found[0]


def change(tx: Transaction, user: int, changes: AccountChanges) -> AccountView:
    """Change one account of any kind, by the rules of `upsert`.

    Raises NotFoundError, and ConflictError if another account has the external id, if no active admin would be left, or if the
    account is not active yet, for more than its role and display name.
    """
    stored = _stored("u.id", [user])
    if not stored or stored[0].view.status == "deleted":
        raise NotFoundError
    (account,) = stored
    external = account.view.external_id if changes.external_id is UNSET else changes.external_id
    is_identity = changes.username is not None or changes.email is not UNSET or changes.external_id is not UNSET
    if account.view.status == "pending" and is_identity:
        raise ConflictError("the account is not active yet")
    if external and external_id.find([external]).get(external, user) != user:
        raise ConflictError("external_id: another account has it")
    wishes = HostedUser(external or "", changes.username, changes.display_name, changes.email, changes.role)
    after = _apply(tx, [_prepared(wishes)], [account], 0)
    record_time(tx, [user], None)
    return _shown(*after)


def record_time(tx: Transaction, users: Sequence[int], issued_ms: int | None) -> None:
    """Remember when it was said what these accounts are, which is never lowered: an older token, or one that the host's clock dates
    later than an admin's change, does not change them."""
    at_ms = tx.now_ms if issued_ms is None else issued_ms
    later = "profile_issued_ms" if issued_ms is not None else "profile_issued_ms+1"
    sql = f"UPDATE users SET profile_issued_ms=CASE WHEN coalesce(profile_issued_ms, -1)<? THEN ? ELSE {later} END WHERE id IN"
    for part in chunks(users, MAX_KEYS_PER_QUERY):
        execute(f"{sql} ({placeholders(len(part))})", (at_ms, at_ms, *part))


def _shown(account: StoredAccount) -> AccountView:
    view = account.view
    row = (view.id, view.username, view.display_name, view.role, view.status, view.external_id, view.bot)
    return users.account_view(*row, account.email, account.metadata)


def _stored(column: str, values: Sequence[int | str]) -> list[StoredAccount]:
    """Return the accounts with one of these values in a column."""
    found = []
    columns = ", ".join(f"u.{name}" for name in ACCOUNT_COLUMNS.split(", "))
    sql = f"SELECT {columns}, u.email_key, p.timezone, p.locale FROM users u JOIN profiles p ON p.user_id=u.id WHERE {column} IN"
    for part in chunks(values, MAX_KEYS_PER_QUERY):
        for *view, email, metadata, key, timezone, locale in rows(f"{sql} ({placeholders(len(part))})", part):
            found.append(StoredAccount(UserView(*view), email, key, metadata, timezone, locale))
    return found


def _apply(tx: Transaction, people: Sequence[PreparedUser], before: Sequence[StoredAccount | None], by: int) -> list[StoredAccount]:
    """Store what is given of each user, and return the accounts."""
    names, addresses = _choose_names(tx.now_ms, people, before), _choose_addresses(people, before)
    chosen = zip(people, before, names, addresses, strict=True)
    after = [_merged(user, old or _new(tx, user, name), name, address) for user, old, name, address in chosen]
    created = [new for new, old in zip(after, before, strict=True) if old is None]
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and old != new]
    if any(new.view.role == "admin" for new in after):
        facts.delete(facts.SETUP_CODE)
    renamed = [new for old, new in zip(before, after, strict=True) if old is None or old.view.username != new.view.username]
    registration.forget_old_attempts([new.view.username.lower() for new in renamed], tx.now_ms)
    _update(tx, pairs)
    accounts = [NewAccount(new.view, new.email, new.email_key, None, new.timezone, new.locale, new.metadata) for new in created]
    registration.insert(tx, accounts)
    _change_status(tx, people, before, after, by)
    if any(old.view.role == "admin" != new.view.role for old, new in pairs) and not users.active_admins():
        raise ConflictError("the last admin stays one")
    return after


def _choose_names(now_ms: int, people: Sequence[PreparedUser], before: Sequence[StoredAccount | None]) -> list[str]:
    """Return the username of each account: of one that is there the present one, unless another is given."""
    names = ["" if old is None else old.view.username for old in before]
    wishes: dict[int, NameWish] = {}
    for n, (user, old) in enumerate(zip(people, before, strict=True)):
        if old is None:
            wishes[n] = NameWish(user.new_username, user.requested.external_id)
        elif user.username:
            wishes[n] = NameWish(user.username, user.requested.external_id, old.view.id, old.view.username)
    for n, name in zip(wishes, usernames.choose(now_ms, list(wishes.values())), strict=True):
        names[n] = name
    return names


def _choose_addresses(people: Sequence[PreparedUser], before: Sequence[StoredAccount | None]) -> list[str]:
    """Return the address of each account: the one that is given, empty if another account has it."""
    addresses = ["" if old is None else old.email for old in before]
    changes = {n: user for n, user in enumerate(people) if user.requested.email is not UNSET}
    owned = _owners({user.email_key for user in changes.values() if user.email_key is not None})
    own = {n: old.email_key for n, old in enumerate(before) if old is not None}
    leaving = {old.view.id for n, old in enumerate(before) if old is not None and n in changes and changes[n].email_key != own[n]}
    used = {key for key, owner in owned.items() if owner not in leaving}
    for n, user in changes.items():
        key = user.email_key
        is_free = key is not None and (key == own.get(n) or key not in used)
        addresses[n] = str(user.requested.email) if is_free else ""
        used.add(key or "")
    return addresses


def _owners(keys: Iterable[str]) -> dict[str, int]:
    """Return who owns these addresses, by their keys."""
    owners: dict[str, int] = {}
    for part in chunks(sorted(keys), MAX_KEYS_PER_QUERY):
        sql = f"SELECT email_key, id FROM users WHERE email_key IN ({placeholders(len(part))}) AND status<>'pending'"
        owners.update(rows(sql, part))
    return owners


def _new(tx: Transaction, user: PreparedUser, name: str) -> StoredAccount:
    """Return an account that is to be made."""
    requested = user.requested
    shown = requested.display_name or _display_name(requested.username) or name
    status = requested.status or STATUSES[0]
    view = UserView(tx.next_id("users"), name, shown, requested.role or ROLES[0], status, requested.external_id)
    return StoredAccount(view, "", "", None, TIMEZONE, LOCALE)


def _merged(user: PreparedUser, old: StoredAccount, name: str, address: str) -> StoredAccount:
    """Return the account with what is given."""
    requested = user.requested
    view = msgspec.structs.replace(
        old.view,
        username=name,
        display_name=requested.display_name or old.view.display_name,
        role=requested.role or old.view.role,
        external_id=requested.external_id or None,
    )
    key = email_address.no_key(view.id) if not address else old.email_key if address == old.email else email_address.key(address)
    metadata = old.metadata if requested.metadata is UNSET else user.metadata
    return StoredAccount(view, address, key, metadata, requested.timezone or old.timezone, requested.locale or old.locale)


def _display_name(username: str | None) -> str | None:
    """Return the username as the host writes it, if it can be a display name and is no address: `Maria José`, when the account's is
    `maria-jose`."""
    can_be = username and "@" not in username and len(username) <= DISPLAY_NAME_CHARS and is_displayable(username)
    return username if can_be else None


def _update(tx: Transaction, pairs: Sequence[tuple[StoredAccount, StoredAccount]]) -> None:
    """Store accounts that are there, each as (before, after), and append the events of what others see of them."""
    _release([old.view.id for old, new in pairs if (old.view.username, old.email_key) != (new.view.username, new.email_key)])
    _update_rows([new for _, new in pairs])
    _update_profiles([new for old, new in pairs if (old.timezone, old.locale) != (new.timezone, new.locale)])
    quiet_hours.recompute(tx, [new.view.id for old, new in pairs if old.timezone != new.timezone])
    readdressed = {new.view.id: new.email for old, new in pairs if old.email_key != new.email_key}
    code.void(tx, list(readdressed), code.LOGIN)
    outbox.readdress(tx, readdressed)
    renamed = [new.view for old, new in pairs if _names(old.view) != _names(new.view)]
    _replace_search_names(renamed)
    for view in (new.view for old, new in pairs if old.view != new.view):
        tx.append(user_stream(view.id), "account.updated", msgspec.json.encode(view))
        users.announce_change(tx, view)
    for view in renamed:
        tx.append(POSTS, "user.updated", msgspec.json.encode(view))


def _names(view: UserView) -> tuple[str, str]:
    return view.username, view.display_name


def _release(ids: Sequence[int]) -> None:
    """Release the usernames and addresses of accounts that change them, so that two may exchange theirs."""
    for part in chunks(ids, MAX_KEYS_PER_QUERY):
        own = f"'{email_address.NONE}' || id"
        execute(f"UPDATE users SET username_key={own}, email_key={own} WHERE id IN ({placeholders(len(part))})", part)


def _update_rows(accounts: Sequence[StoredAccount]) -> None:
    columns = ", ".join(CHANGED_COLUMNS)
    changes = ", ".join(f"{name}=input.{name}" for name in CHANGED_COLUMNS)
    for part in chunks(accounts, UPDATED_PER_STATEMENT):
        execute(
            values_cte(f"id, {columns}", len(part)) + f"UPDATE users SET {changes} FROM input WHERE users.id=input.id",
            [value for account in part for value in _row(account)],
        )


def _row(account: StoredAccount) -> tuple[Any, ...]:
    view = account.view
    names = (view.username, view.username.lower(), account.email, account.email_key, view.display_name)
    return (view.id, *names, display_key(view.display_name), view.role, view.external_id, account.metadata)


def _update_profiles(accounts: Sequence[StoredAccount]) -> None:
    for part in chunks(accounts, UPDATED_PER_STATEMENT):
        execute(
            values_cte("id, timezone, locale", len(part))
            + "UPDATE profiles SET timezone=input.timezone, locale=input.locale FROM input WHERE profiles.user_id=input.id",
            [value for account in part for value in (account.view.id, account.timezone, account.locale)],
        )


def _replace_search_names(views: Sequence[UserView]) -> None:
    for part in chunks([view.id for view in views], MAX_KEYS_PER_QUERY):
        SearchName.delete().where(SearchName.user.in_(part)).execute()
    insert_search_names((view.id, view.username, view.display_name) for view in views)


def _change_status(
    tx: Transaction, people: Sequence[PreparedUser], before: Sequence[StoredAccount | None], after: Sequence[StoredAccount], by: int
) -> None:
    """Suspend and activate accounts that are there, as an admin does: their owners are notified, and tokens end."""
    there = [(user.requested.status, new) for user, old, new in zip(people, before, after, strict=True) if old is not None]
    for name, verb in (("suspended", status.suspend), ("active", status.activate)):
        chosen = {new.view.id: new for requested, new in there if requested == name != new.view.status}
        for user in verb(tx, list(chosen), by).changed if chosen else ():
            chosen[user].view.status = name
