"""Creation of accounts: by an admin, active at once, or by signing up, active when the mailed code is entered.

Every sign-up creates a pending account of its own, with its own code and password, also when the address has an account. So neither
answers nor response times reveal which addresses are known, the first sign-up reserves a username, and a code activates only the
sign-up that it was mailed for. An address with an account gets a mail that says so instead of a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from models.identity import code, email_address
from models.identity.user import (
    LOCALE,
    ROLES,
    TIMEZONE,
    Profile,
    User,
    UserView,
    Wallet,
    display_key,
    insert_search_names,
    invalid_display_name,
    invalid_profile,
)
from models.log.event import ACCOUNTS, Transaction
from models.notices import outbox
from models.notices.outbox import CODE_PRIORITY, NewMail
from models.store import facts
from models.store.clock import now_ms
from models.store.database import affected_rows, chunks, execute, insert_rows, placeholders, rows
from models.store.errors import ConflictError, InvalidError

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,31}")
USERNAME_RULE = "2 to 32 letters, digits, dots, dashes or underscores, starting with a letter or digit"
RESERVED_MS = 24 * 3600 * 1000  # how long a pending sign-up reserves its username
RESERVED = "username: is taken, or reserved for a day by somebody who signs up with it"
MAX_KEYS_PER_QUERY = 500
COLUMNS = (
    "id",
    "username",
    "username_key",
    "email",
    "email_key",
    "display_name",
    "display_key",
    "role",
    "status",
    "password_hash",
    "watches",
    "created_ms",
    "bot",
    "external_id",
    "metadata",
)


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of an account to be created."""

    username: str
    email: str
    display_name: str | None = None
    role: str = "user"
    password: str | None = None
    bot: bool = False
    timezone: str | None = None
    locale: str | None = None


def invalid_fields(new: NewUser, prefix: str = "") -> list[tuple[str, str]]:
    """Return (field, message) of each invalid field except role and password."""
    errors: list[tuple[str, str]] = []
    if not USERNAME.fullmatch(new.username):
        errors.append((f"{prefix}username", USERNAME_RULE))
    if not email_address.is_mailable(new.email):
        errors.append((f"{prefix}email", email_address.EXPECTED))
    if new.display_name is not None:
        errors += invalid_display_name(new.display_name, prefix)
    return errors + invalid_profile(new.timezone, new.locale, prefix)


def create_active(tx: Transaction, users: Sequence[NewUser], password_hashes: Sequence[str | None]) -> list[UserView]:
    """Create active accounts with profile and wallet, all or none. An admin among them ends the setup of the instance.

    Raises InvalidError, which names each invalid field as `users.N.field`.
    """
    errors = refusals(users)
    if errors:
        raise InvalidError(*errors)
    forget_old_attempts([new.username.lower() for new in users], tx.now_ms)
    if any(new.role == "admin" for new in users):
        facts.delete(facts.SETUP_CODE)
    return _insert(tx, users, password_hashes, "active")


class NewAccount(NamedTuple):
    """An account to be inserted. One without an address has an empty one, and the key `email_address.no_key`."""

    view: UserView
    email: str
    email_key: str
    password_hash: str | None
    timezone: str | None
    locale: str | None
    metadata: str | None = None


def _insert(tx: Transaction, users: Sequence[NewUser], hashes: Sequence[str | None], status: str) -> list[UserView]:
    made = [UserView(tx.next_id("users"), u.username, u.display_name or u.username, u.role, status, None, u.bot) for u in users]
    new = zip(made, users, hashes, strict=True)
    insert(tx, [NewAccount(v, u.email, email_address.key(u.email), hashed, u.timezone, u.locale) for v, u, hashed in new])
    return made


def insert(tx: Transaction, accounts: Sequence[NewAccount]) -> None:
    """Insert user, profile and wallet of each account. Nothing else does."""
    insert_rows(User, COLUMNS, [_row(tx, account) for account in accounts])
    insert_search_names((new.view.id, new.view.username, new.view.display_name) for new in accounts)
    profiles = [(new.view.id, new.timezone or TIMEZONE, new.locale or LOCALE) for new in accounts]
    insert_rows(Profile, ("user_id", "timezone", "locale"), profiles)
    insert_rows(Wallet, ("user_id", "currency", "balance_minor"), [(new.view.id, "USD", 0) for new in accounts])


def _row(tx: Transaction, new: NewAccount) -> tuple[Any, ...]:
    view = new.view
    return (
        view.id,
        view.username,
        view.username.lower(),
        new.email,
        new.email_key,
        view.display_name,
        display_key(view.display_name),
        view.role,
        view.status,
        new.password_hash,
        "{}",
        tx.now_ms,
        view.bot,
        view.external_id,
        new.metadata,
    )


def refusals(users: Sequence[NewUser]) -> list[tuple[str, str]]:
    """Return (`users.N.field`, message) of everything that prevents these accounts from being created."""
    errors: list[tuple[str, str]] = []
    for n, new in enumerate(users):
        errors += invalid_fields(new, f"users.{n}.")
        if new.role not in ROLES:
            errors.append((f"users.{n}.role", "user or admin"))
    names, addresses = [new.username.lower() for new in users], [email_address.key(new.email) for new in users]
    errors += _conflicts("username", names, reserved(names, now_ms()))
    return errors + _conflicts("email", addresses, owned(addresses))


def _conflicts(field: str, keys: Sequence[str], existing: Collection[str]) -> list[tuple[str, str]]:
    seen = set(existing)
    errors = []
    for n, key in enumerate(keys):
        if key in seen:
            errors.append((f"users.{n}.{field}", "is taken"))
        seen.add(key)
    return errors


def reserved(keys: Sequence[str], now: int) -> set[str]:
    """Return those of these usernames, in lower case, that an account has or a sign-up of the last day reserves."""
    sql = "SELECT username_key FROM users WHERE username_key IN ({}) AND (status<>'pending' OR created_ms>?)"
    return _existing(sql, keys, now - RESERVED_MS)


def is_reserved(username: str) -> bool:
    """Return whether the username is reserved."""
    return bool(reserved([username.lower()], now_ms()))


def owned(keys: Sequence[str]) -> set[str]:
    """Return those of these addresses' keys that belong to an account that is not pending."""
    return _existing("SELECT email_key FROM users WHERE email_key IN ({}) AND status<>'pending'", keys)


def _existing(sql: str, keys: Sequence[str], *params: int) -> set[str]:
    """Return the keys that the query finds; `{}` in it is the list of keys. Raw SQL: a sign-up runs it under the log's lock."""
    existing: set[str] = set()
    for chunk in chunks(keys, MAX_KEYS_PER_QUERY):
        existing.update(key for (key,) in rows(sql.format(placeholders(len(chunk))), (*chunk, *params)))
    return existing


def sign_up(tx: Transaction, secret: str, new: NewUser, hashed: str) -> int:
    """Create a pending account with profile, wallet, code and mail, and return its id. Raises ConflictError when the username is
    reserved."""
    name = new.username.lower()
    if reserved([name], tx.now_ms):
        raise ConflictError(RESERVED)
    forget_old_attempts([name], tx.now_ms)
    (made,) = _insert(tx, [new], [hashed], "pending")
    mail_code(tx, secret, made.id, new.username, new.email)
    return made.id


def mail_code(tx: Transaction, secret: str, attempt: int, username: str, address: str) -> None:
    """Mail a new code for a pending account, in the place of its earlier one. If the address has an account, its owner gets a mail
    that says so instead."""
    digits = code.new()
    expires_ms = code.issue(tx, secret, attempt, code.SIGNUP, digits)
    owner_sql = "SELECT id, email, display_name, username FROM users WHERE email_key=? AND status<>'pending'"
    owner = rows(owner_sql, (email_address.key(address),))
    if owner:
        user, to, display_name, owners_username = owner[0]  # nothing of what the caller typed, who may be a stranger
        letter = NewMail("address_known", user, to, display_name, {"username": owners_username})
    else:
        data = {"code": digits, "username": username}
        nameless = ""  # a stranger may have chosen the name
        letter = NewMail("signup_code", attempt, address, nameless, data, expires_ms, CODE_PRIORITY)
    outbox.queue(tx, [letter])


def verify(
    tx: Transaction, secret: str, address: str, digits: str, allowed: Callable[[Sequence[int]], Sequence[int]] = lambda ids: ids
) -> int | None:
    """Activate the pending account that the code was mailed for. Return its id, or None when the code is not valid.

    `allowed` returns those of the address's pending accounts that may be activated.
    """
    key = email_address.key(address)
    attempts = allowed([i for (i,) in rows("SELECT id FROM users WHERE email_key=? AND status='pending' ORDER BY id", (key,))])
    found = code.redeem(tx, secret, attempts, code.SIGNUP, digits)
    if found is None or owned([key]):
        return None
    code.void(tx, attempts, code.SIGNUP)
    execute("UPDATE users SET status='active' WHERE id=?", (found,))
    announce(tx, [found])
    return found


def announce(tx: Transaction, users: Sequence[int]) -> None:
    """Append `user.created` for each new user, from which the drains do everything else."""
    for user in users:
        tx.append(ACCOUNTS, "user.created", msgspec.json.encode({"user": user}))


def queue_login_code(tx: Transaction, secret: str, address: str) -> None:
    """Mail a login code to the address of an active account. For any other address the same is written, and nothing is sent."""
    found = rows("SELECT id, email, display_name FROM users WHERE email_key=? AND status='active'", (email_address.key(address),))
    user, to, name = found[0] if found else (code.NOBODY, "", "")
    digits = code.new()
    expires_ms = code.issue(tx, secret, user, code.LOGIN, digits)
    letter = NewMail("login_code", user, to, name, {"code": digits if found else ""}, expires_ms, CODE_PRIORITY)
    outbox.queue(tx, [letter], "queued" if found else "dropped")


def log_in(tx: Transaction, secret: str, address: str, digits: str) -> int | None:
    """Return the active user whose login code this is, or None."""
    found = rows("SELECT id FROM users WHERE email_key=? AND status='active'", (email_address.key(address),))
    return code.redeem(tx, secret, [i for (i,) in found], code.LOGIN, digits)


def forget_old_attempts(names: Sequence[str], now: int) -> None:
    """Delete pending accounts that reserve these usernames no longer."""
    for part in chunks(names, MAX_KEYS_PER_QUERY):
        execute(
            f"DELETE FROM users WHERE username_key IN ({placeholders(len(part))}) AND status='pending' AND created_ms<=?",
            (*part, now - RESERVED_MS),
        )


def trim(tx: Transaction, limit: int) -> int:
    """Delete pending accounts, at most `limit`, whose username is no longer reserved, and return their number."""
    return affected_rows(
        "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE status='pending' AND created_ms<=? ORDER BY created_ms LIMIT ?)",
        (tx.now_ms - RESERVED_MS, limit),
    )
