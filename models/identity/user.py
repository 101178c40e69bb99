"""People and their roles, with exactly one profile and one wallet each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import peewee

from models.log.event import GATEWAYS, Transaction, user_stream
from models.store.database import Base, NeverReusedIdField, execute, multi_index_read, rows
from models.store.errors import ConflictError, InvalidError, NotFoundError
from models.store.text_rules import is_displayable

EMAIL_CHARS = 255
DISPLAY_NAME_CHARS = 80
ROLES = ("user", "admin")
STATUSES = ("pending", "active", "suspended")
WATCHED = ("user.created", "user.status", "message.sent", "user.activity")
COLUMNS = "id, username, display_name, role, status"


class User(Base):
    """An account. The keys are lower-case forms: a username's is unique, an address's among accounts that are not pending."""

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

    class Meta:
        table_name = "users"


_PENDING = peewee.SQL("status='pending'")
User.add_index(User.index(User.email_key, unique=True, where=peewee.SQL("status<>'pending'"), name="user_email_owned"))
User.add_index(User.index(User.email_key, where=_PENDING, name="user_email_pending"))
User.add_index(User.index(User.created_ms, where=_PENDING, name="user_pending"))


class Profile(Base):
    """Where and in which language a person lives: exactly one for each user."""

    user = peewee.ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    timezone = peewee.CharField(max_length=64, default="UTC")
    locale = peewee.CharField(max_length=35, default="en")

    class Meta:
        table_name = "profiles"


class Wallet(Base):
    """A balance in minor units of its currency: exactly one for each user."""

    user = peewee.ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    currency = peewee.CharField(max_length=3, default="USD")
    balance_minor = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "wallets"


class UserView(msgspec.Struct):
    """USER of the contract."""

    id: int
    username: str
    display_name: str
    role: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ROLES})]
    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": STATUSES})]


def search_key(name: str) -> str:
    """What a display name is found by. Some letters become two in lower case."""
    return name.lower()[:DISPLAY_NAME_CHARS]


def invalid_display_name(name: str, prefix: str = "") -> list[tuple[str, str]]:
    """(field, message) when the name can't be shown."""
    if len(name) <= DISPLAY_NAME_CHARS and is_displayable(name):
        return []
    return [(f"{prefix}display_name", f"1 to {DISPLAY_NAME_CHARS} printable characters")]


def view(user: int) -> UserView:
    """One user, whatever the status. Raises NotFoundError."""
    found = rows(f"SELECT {COLUMNS} FROM users WHERE id=?", (user,))
    if not found:
        raise NotFoundError
    return UserView(*found[0])


def active_view(user: int) -> UserView:
    """One active user. Raises NotFoundError."""
    found = view(user)
    if found.status != "active":
        raise NotFoundError
    return found


def _prefix(text: str) -> str:
    return text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def search(text: str, after: int, limit: int) -> list[UserView]:
    """Active users whose username or display name begins so, by id."""
    like = _prefix(text)
    with multi_index_read():
        found = rows(
            f"SELECT {COLUMNS} FROM users WHERE status='active' AND id>? "
            "AND (username_key LIKE ? ESCAPE '\\' OR display_key LIKE ? ESCAPE '\\') ORDER BY id LIMIT ?",
            (after, like, like, limit),
        )
    return [UserView(*r) for r in found]


def admin_list(status: str | None, role: str | None, text: str, after: int, limit: int) -> list[dict[str, Any]]:
    """All users for admins, with e-mail, by id."""
    where, params = ["id>?"], [after]  # type: list[str], list[Any]
    for column, value in (("status", status), ("role", role)):
        if value is not None:
            where.append(f"{column}=?")
            params.append(value)
    if text:
        where.append("(username_key LIKE ? ESCAPE '\\' OR display_key LIKE ? ESCAPE '\\' OR email_key LIKE ? ESCAPE '\\')")
        params += [_prefix(text)] * 3
    found = rows(f"SELECT {COLUMNS}, email FROM users WHERE {' AND '.join(where)} ORDER BY id LIMIT ?", (*params, limit))
    return [{**msgspec.structs.asdict(UserView(*r[:5])), "email": r[5]} for r in found]


def me(user: int) -> dict[str, Any]:
    """USER with what only its owner sees. Money is a decimal string."""
    found = rows(
        "SELECT u.email, p.timezone, p.locale, w.currency, w.balance_minor FROM users u "
        "JOIN profiles p ON p.user_id=u.id JOIN wallets w ON w.user_id=u.id WHERE u.id=?",
        (user,),
    )
    email, timezone, locale, currency, minor = found[0]
    return {
        **msgspec.structs.asdict(view(user)),
        "email": email,
        "profile": {"timezone": timezone, "locale": locale},
        "wallet": {"currency": currency, "balance": f"{minor // 100}.{minor % 100:02d}"},
    }


def change(tx: Transaction, user: int, **fields: str) -> UserView:
    """Sets columns of one account (role, display_name, status) and tells its owner and every gateway."""
    if "display_name" in fields:
        fields["display_key"] = search_key(fields["display_name"])
    names = ", ".join(f"{name}=?" for name in fields)
    if fields:
        execute(f"UPDATE users SET {names} WHERE id=?", (*fields.values(), user))
    changed = view(user)
    if fields:
        tx.append(user_stream(user), "account.updated", msgspec.json.encode(changed))
        tx.append(GATEWAYS, "account.changed", msgspec.json.encode({"user": user, "status": changed.status}))
    return changed


def set_profile(tx: Transaction, user: int, timezone: str | None, locale: str | None) -> None:
    """Sets what is given of the profile."""
    for column, value in (("timezone", timezone), ("locale", locale)):
        if value is not None:
            execute(f"UPDATE profiles SET {column}=? WHERE user_id=?", (value, user))


def find_login(login: str) -> tuple[int, str, str | None] | None:
    """(id, status, password hash) by username or e-mail."""
    key = login.lower()
    where = "email_key=? AND status<>'pending'" if "@" in key else "username_key=?"
    found = rows(f"SELECT id, status, password_hash FROM users WHERE {where}", (key,))
    return found[0] if found else None


def active_admins() -> list[tuple[int, str]]:
    """(id, watches JSON) of each active admin."""
    return rows("SELECT id, watches FROM users WHERE role='admin' AND status='active' ORDER BY id")


def password_hash(user: int) -> str | None:
    """The stored hash of a user's password, when they have one."""
    found = rows("SELECT password_hash FROM users WHERE id=?", (user,))
    return found[0][0] if found else None


def set_password(tx: Transaction, user: int, hashed: str) -> None:
    """Stores a new password's hash."""
    execute("UPDATE users SET password_hash=? WHERE id=?", (hashed, user))


def watches(user: int) -> dict[str, bool]:
    """What an admin hears of; all on by default."""
    stored = msgspec.json.decode(rows("SELECT watches FROM users WHERE id=?", (user,))[0][0])
    return {name: bool(stored.get(name, True)) for name in WATCHED}


def set_watches(tx: Transaction, user: int, changed: dict[str, bool]) -> None:
    """Turns watches on and off; those not named stay. Raises InvalidError for a name that is none."""
    unknown = sorted(set(changed) - set(WATCHED))
    if unknown:
        raise InvalidError(*((name, "one of " + ", ".join(WATCHED)) for name in unknown))
    stored = msgspec.json.encode({**watches(user), **changed}).decode()
    execute("UPDATE users SET watches=? WHERE id=?", (stored, user))


def change_by_admin(tx: Transaction, user: int, fields: dict[str, str]) -> UserView:
    """Changes an account; the last active admin stays one. Raises ConflictError or NotFoundError."""
    there = view(user)
    if fields.get("role") == "user" and there.role == "admin" and [i for i, _ in active_admins()] == [user]:
        raise ConflictError("the last admin stays one")
    return change(tx, user, **fields)
