"""Users and their roles, each with exactly one profile and one wallet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import peewee

from models.identity import contacts, email_address, time_zone
from models.identity.contacts import SEE, Bound
from models.log.event import GATEWAYS, POSTS, Transaction, user_stream
from models.store.database import (
    Base,
    BytewiseCharField,
    NeverReusedIdField,
    chunks,
    engine,
    fetch_rows,
    insert_rows,
    placeholders,
    rows,
)
from models.store.errors import InvalidError, NotFoundError
from models.store.text_rules import CJK, fold, is_displayable

EMAIL_CHARS = 255
DISPLAY_NAME_CHARS = 80
EXTERNAL_ID_CHARS = 128
ROLES = ("user", "admin")
STATUSES = ("pending", "active", "suspended", "deleted")
MAX_WORDS = 10  # of a name, by which its user is found
MAX_QUERY_WORDS = 5
MAX_IDS_PER_QUERY = 500
WORD = re.compile(f"[{CJK}]|[^\\W_{CJK}]+")
BEFORE_WORD = re.compile(r"^[\W_]+")
TIMEZONE, LOCALE = "UTC", "en"  # of a profile, until another one is set
LOCALE_CHARS = 35
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")  # RFC 5646, without irregular tags
AFTER_ALL = "\U0010ffff"  # sorts after all characters of names
WATCHED = ("user.created", "user.status", "report.created", "message.sent", "user.activity")


class User(Base):
    """An account. Usernames are unique by their keys in lower case, addresses by those of `models.identity.email_address` among
    accounts that are not pending."""

    id = NeverReusedIdField()
    username = peewee.CharField(max_length=32)
    username_key = peewee.CharField(max_length=32, unique=True)
    email = peewee.CharField(max_length=EMAIL_CHARS)
    email_key = peewee.CharField(max_length=EMAIL_CHARS)
    display_name = peewee.CharField(max_length=DISPLAY_NAME_CHARS)
    display_key = peewee.CharField(max_length=DISPLAY_NAME_CHARS, index=True)
    role = peewee.CharField(max_length=8, index=True)
    status = peewee.CharField(max_length=10)
    password_hash = peewee.TextField(null=True)
    site = peewee.CharField(max_length=64, null=True)
    watches = peewee.TextField(default="{}")
    created_ms = peewee.BigIntegerField()
    bot = peewee.BooleanField(null=True)  # NULL in rows of gateways of earlier versions
    external_id = peewee.CharField(max_length=EXTERNAL_ID_CHARS, null=True, unique=True)  # the host's id for the user
    metadata = peewee.TextField(null=True)  # of the host: a JSON object
    tokens_after_ms = peewee.BigIntegerField(null=True)  # the host's tokens are valid that it issued after this
    profile_issued_ms = peewee.BigIntegerField(null=True)  # when the host said last what the account is: a token's `iat`, or a call

    class Meta:
        table_name = "users"


_PENDING = peewee.SQL("status='pending'")
User.add_index(User.index(User.email_key, unique=True, where=peewee.SQL("status<>'pending'"), name="user_email_owned"))
User.add_index(User.index(User.email_key, where=_PENDING, name="user_email_pending"))
User.add_index(User.index(User.created_ms, where=_PENDING, name="user_pending"))


class SearchName(Base):
    """A text that a user is found by the beginning of: username and display name, each from each of its words on, folded. Every
    character of Chinese, Japanese and Korean begins a word."""

    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    name = BytewiseCharField(max_length=DISPLAY_NAME_CHARS)

    class Meta:
        table_name = "search_names"
        primary_key = peewee.CompositeKey("user", "name")


SearchName.add_index(SearchName.index(SearchName.name, SearchName.user, name="search_name"))


class Profile(Base):
    """A user's time zone and language: exactly one for each user."""

    user = peewee.ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    timezone = peewee.CharField(max_length=64, default=TIMEZONE)
    locale = peewee.CharField(max_length=LOCALE_CHARS, default=LOCALE)
    quiet = peewee.TextField(null=True)  # quiet hours, JSON

    class Meta:
        table_name = "profiles"


class Wallet(Base):
    """A balance in minor units of its currency: exactly one for each user."""

    user = peewee.ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    currency = peewee.CharField(max_length=3, default="USD")
    balance_minor = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "wallets"


VIEW_COLUMNS = (User.id, User.username, User.display_name, User.role, User.status, User.external_id, User.bot)  # of a UserView
COLUMNS = ", ".join(column.column_name for column in VIEW_COLUMNS)  # for raw SQL
ACCOUNT_COLUMNS = f"{COLUMNS}, email, metadata"  # of an AccountView


class UserView(msgspec.Struct, omit_defaults=True):
    """USER of the contract. `external_id` is what the product that embeds this one calls the user. `bot` is left out of JSON for
    accounts of people."""

    id: int
    username: str
    display_name: str
    role: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ROLES})]
    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": STATUSES})]
    external_id: str | None
    bot: bool = False

    def __post_init__(self) -> None:
        self.bot = bool(self.bot)  # it may be NULL, and 0 or 1 on SQLite


class AccountView(UserView, kw_only=True):
    """USER, with what only admins see: the address, null without one, and what the host keeps about the user."""

    email: str | None
    metadata: dict[str, Any] | None


def account_view(*row: Any) -> AccountView:
    """Return the account of a row of ACCOUNT_COLUMNS."""
    *view, email, metadata = row
    return AccountView(*view, email=email or None, metadata=None if metadata is None else msgspec.json.decode(metadata))


def display_key(name: str) -> str:
    """Return the key by which the version before finds a display name, cut because some letters become two in lower case."""
    return name.lower()[:DISPLAY_NAME_CHARS]


def search_words(text: str) -> list[str]:
    """Return the folded words of a search for people or titles, from their first letters on: `@` may stand before a username. A
    text without letters, such as an emoji, stays as it is."""
    parts = fold(text.strip().removeprefix("@")).split()
    words = [word for part in parts if (word := BEFORE_WORD.sub("", part))] or parts
    return list(dict.fromkeys(word[:DISPLAY_NAME_CHARS] for word in words))[:MAX_QUERY_WORDS]


def name_parts(name: str, max_words: int = MAX_WORDS) -> set[str]:
    """Return the folded texts by whose beginning a name or title is found: the name from each of its first words on."""
    text = " ".join(fold(name).split())
    starts = [0, *(word.start() for word in WORD.finditer(text))][: max_words + 1]
    return {text[start : start + DISPLAY_NAME_CHARS] for start in starts} - {""}


def search_names(username: str, display_name: str) -> set[str]:
    """Return the names of a user for SearchName."""
    return name_parts(username) | name_parts(display_name)


def insert_search_names(users: Iterable[tuple[int, str, str]]) -> None:
    """Make users, each with id, username and display name, findable by these."""
    values = [(user, name) for user, *names in users for name in sorted(search_names(*names))]
    insert_rows(SearchName, ("user_id", "name"), values)


def invalid_display_name(name: str, prefix: str = "") -> list[tuple[str, str]]:
    """Return (field, message) when the display name is not allowed."""
    if len(name) <= DISPLAY_NAME_CHARS and is_displayable(name):
        return []
    return [(f"{prefix}display_name", f"1 to {DISPLAY_NAME_CHARS} printable characters")]


def invalid_profile(timezone: str | None, locale: str | None, prefix: str = "") -> list[tuple[str, str]]:
    """Return (field, message) of each field of a profile that is neither None nor allowed."""
    errors = []
    if timezone is not None and not time_zone.is_known(timezone):
        errors.append((f"{prefix}timezone", f"must be {time_zone.EXPECTED}"))
    if locale is not None and not (len(locale) <= LOCALE_CHARS and LANGUAGE_TAG.fullmatch(locale)):
        errors.append((f"{prefix}locale", "must be a language tag such as en or pt-BR"))
    return errors


def view(user: int) -> UserView:
    """Return one user of any status. Raises NotFoundError. Raw SQL: posts and comments read their author under the log's lock."""
    found = rows(f"SELECT {COLUMNS} FROM users WHERE id=?", (user,))
    if not found:
        raise NotFoundError
    return UserView(*found[0])


def views(users: Sequence[int]) -> dict[int, UserView]:
    """Return those of these users who exist, of any status, by id. Raw SQL: as above."""
    found: dict[int, UserView] = {}
    for part in chunks(users, MAX_IDS_PER_QUERY):
        sql = f"SELECT {COLUMNS} FROM users WHERE id IN ({placeholders(len(part))})"
        found.update((row[0], UserView(*row)) for row in rows(sql, part))
    return found


def kept_view(user: int) -> UserView:
    """Return one user of any status but deleted. Raises NotFoundError."""
    found = view(user)
    if found.status == "deleted":
        raise NotFoundError
    return found


def active_view(user: int) -> UserView:
    """Return one active user. Raises NotFoundError."""
    found = view(user)
    if found.status != "active":
        raise NotFoundError
    return found


def seen_view(user: int, caller: Bound | None) -> UserView:
    """Return one active user whom the caller may see. Raises NotFoundError."""
    contacts.require(caller, SEE, [user])
    return active_view(user)


def _prefix(text: str) -> str:
    """Return the LIKE pattern, with `\\` as escape, for a key that begins with a text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _named(words: Sequence[str], after: int = 0) -> tuple[str, list[Any]]:
    """Return the query for the ids, after an id, of users with a name for each word that begins so, and its parameters."""
    one = "SELECT user_id FROM search_names WHERE name>=? AND name<? AND user_id>?"
    return " INTERSECT ".join([one] * len(words)), [value for word in words for value in (word, word + AFTER_ALL, after)]


def search(text: str, after: int, limit: int, caller: Bound | None = None) -> list[UserView]:
    """Return active users of whose names each word of a text is the beginning of a word, by id; all for an empty text. Those whom
    the caller may see.

    Raw SQL: compared on both stores by the plan, which reads a range of one index. As a join, PostgreSQL's plan of the first day
    would read that range for each user: with 10,000 users 600 ms, and the time limit for rare names.
    """
    words = search_words(text)
    if caller is not None and not words:
        found = views(contacts.page(caller, after, limit))
        return [found[user] for user in sorted(found)]
    named, params = _named(words, after) if words else ("", [])
    is_seen, caller_ids = contacts.seen("users.id", caller)
    is_one_of = f"id = ANY(ARRAY({named}))" if engine().name == "postgresql" else f"id IN ({named})"
    by_name = f"{is_one_of} AND " if words else ""
    sql = f"SELECT {COLUMNS} FROM users WHERE {by_name}status='active' AND id>?{is_seen} ORDER BY id LIMIT ?"
    return [UserView(*row) for row in rows(sql, (*params, after, *caller_ids, limit))]


def ids_named(name: str, limit: int, caller: Bound | None = None) -> list[int]:
    """Return up to `limit` users of any status, in no order, who are found by a name, or the one whose username follows an `@`.
    They are users whom the caller may see."""
    if name.startswith("@"):
        is_seen, caller_ids = contacts.seen("users.id", caller)
        username = name.removeprefix("@").lower()
        exact = rows(f"SELECT id FROM users WHERE username_key=?{is_seen}", (username, *caller_ids))
        if exact:
            return [user for (user,) in exact]
    words = search_words(name)
    if not words:
        return []
    named, params = _named(words)
    is_seen, caller_ids = contacts.seen("found.user_id", caller)
    # Raw: shares its condition with the search above.
    sql = f"SELECT DISTINCT user_id FROM ({named}) AS found WHERE TRUE{is_seen} LIMIT ?"
    return [user for (user,) in rows(sql, (*params, *caller_ids, limit))]


def admin_list(status: str | None, role: str | None, text: str, after: int, limit: int) -> list[AccountView]:
    """Return a page of users of any status for admins, by id."""
    where, params = ["id>?"], [after]  # type: list[str], list[Any]
    for column, value in (("status", status), ("role", role)):
        if value is not None:
            where.append(f"{column}=?")
            params.append(value)
    if words := search_words(text):
        named, bounds = _named(words)
        where.append(f"(id IN ({named}) OR email_key LIKE ? ESCAPE '\\')")
        params += [*bounds, _prefix(email_address.key(text))]
    found = rows(f"SELECT {ACCOUNT_COLUMNS} FROM users WHERE {' AND '.join(where)} ORDER BY id LIMIT ?", (*params, limit))
    return [account_view(*row) for row in found]


def me(user: int) -> dict[str, Any]:
    """Return USER with the fields that only the user themselves sees. Money is a decimal string."""
    columns = (User.email, Profile.timezone, Profile.locale, Profile.quiet, Wallet.currency, Wallet.balance_minor)
    query = User.select(*columns).join(Profile).switch(User).join(Wallet).where(User.id == user)
    ((email, timezone, locale, quiet, currency, minor),) = fetch_rows(query)
    return {
        **msgspec.to_builtins(view(user)),
        "email": email or None,
        "profile": {"timezone": timezone, "locale": locale},
        "quiet": None if quiet is None else msgspec.json.decode(quiet),
        "wallet": {"currency": currency, "balance": f"{minor // 100}.{minor % 100:02d}"},
    }


def replace_search_names(user: UserView) -> None:
    """Make a user findable by the present names and no others."""
    SearchName.delete().where(SearchName.user == user.id).execute()
    insert_search_names([(user.id, user.username, user.display_name)])


def announce_change(tx: Transaction, changed: UserView) -> None:
    """Append the event by which gateways learn an account's status and role."""
    data = {"user": changed.id, "status": changed.status, "role": changed.role}
    tx.append(GATEWAYS, "account.changed", msgspec.json.encode(data))


def change(tx: Transaction, user: int, **fields: str) -> UserView:
    """Set columns of one account (role, display_name, status) and append the events for its owner and the gateways.

    A new name is one event for all clients that follow posts: the page does, and shows names of people everywhere.
    """
    before = view(user).display_name
    if "display_name" in fields:
        fields["display_key"] = display_key(fields["display_name"])
    if fields:
        User.update(**fields).where(User.id == user).execute()
    changed = view(user)
    if "display_name" in fields:
        replace_search_names(changed)
    if fields:
        tx.append(user_stream(user), "account.updated", msgspec.json.encode(changed))
        announce_change(tx, changed)
    if changed.display_name != before:
        tx.append(POSTS, "user.updated", msgspec.json.encode(changed))
    return changed


def set_profile(tx: Transaction, user: int, timezone: str | None, locale: str | None) -> None:
    """Set the fields of the profile that are not None."""
    fields = {name: value for name, value in (("timezone", timezone), ("locale", locale)) if value is not None}
    if fields:
        Profile.update(**fields).where(Profile.user == user).execute()


def login_key(login: str) -> str:
    """Return the key of a username or an e-mail address."""
    return email_address.key(login) if "@" in login else login.lower()


def find_login(login: str) -> tuple[int, str, str | None] | None:
    """Return (id, status, password hash) of the user with this username or e-mail address, or None."""
    where = "email_key=? AND status<>'pending'" if "@" in login else "username_key=?"
    found = rows(f"SELECT id, status, password_hash FROM users WHERE {where}", (login_key(login),))
    return found[0] if found else None


def active_admins() -> list[tuple[int, str]]:
    """Return (id, watches as JSON) of each active admin, by id."""
    active = (User.role == "admin") & (User.status == "active")
    return fetch_rows(User.select(User.id, User.watches).where(active).order_by(User.id))


def password_hash(user: int) -> str | None:
    """Return the stored hash of the user's password, or None."""
    hashed: str | None = User.select(User.password_hash).where(User.id == user).scalar()
    return hashed


def set_password(tx: Transaction, user: int, hashed: str) -> None:
    """Store the hash of a new password."""
    User.update(password_hash=hashed).where(User.id == user).execute()


def watches(user: int) -> dict[str, bool]:
    """Return which events an admin watches; all by default."""
    stored = msgspec.json.decode(User.select(User.watches).where(User.id == user).scalar())
    return {name: name not in stored or bool(stored[name]) for name in WATCHED}


def set_watches(tx: Transaction, user: int, changed: dict[str, bool]) -> None:
    """Set some of an admin's watches; the others stay. Raises InvalidError for an unknown name."""
    unknown = sorted(set(changed) - set(WATCHED))
    if unknown:
        raise InvalidError(*((name, "one of " + ", ".join(WATCHED)) for name in unknown))
    stored = msgspec.json.encode({**watches(user), **changed}).decode()
    User.update(watches=stored).where(User.id == user).execute()
