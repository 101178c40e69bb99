"""Tokens: bearer credentials, kept only as SHA-256. A revoked token's row is gone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import peewee

from models.identity.user import User
from models.log.event import GATEWAYS, Transaction, head
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, NeverReusedIdField, chunks, execute, placeholders, rows
from models.store.errors import DeadTokenError, NotFoundError, SuspendedError

TOKEN_BYTES = 32
LABEL_CHARS = 64
ADDRESS_CHARS = 45  # of an IPv6 address in full; a zone after it is left out
IDS_A_STATEMENT = 500


class Token(Base):
    """One credential of one user: a session of a login, or one made for a bot or script."""

    id = NeverReusedIdField()  # gateways and transactions go by it: it must not come to mean another's
    user = peewee.ForeignKeyField(User, on_delete="CASCADE")
    hash = peewee.CharField(max_length=64, unique=True)
    label = peewee.CharField(max_length=LABEL_CHARS)
    address = peewee.CharField(max_length=ADDRESS_CHARS)
    created_ms = peewee.BigIntegerField()
    used_ms = peewee.BigIntegerField(null=True)
    poll_acked = peewee.BigIntegerField()
    poll_written = peewee.BigIntegerField()

    class Meta:
        table_name = "tokens"


class Actor(msgspec.Struct, frozen=True):
    """Who calls: a living token and the account behind it."""

    user: int
    token: int
    role: str
    status: str


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(tx: Transaction, user: int, label: str = "", address: str = "") -> str:
    """Makes a token and returns it: the only time that it is seen. The older client's cursor starts here."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    start = tx.head
    execute(
        "INSERT INTO tokens (user_id, hash, label, address, created_ms, poll_acked, poll_written) VALUES (?,?,?,?,?,?,?)",
        (user, digest(token), label[:LABEL_CHARS], address[:ADDRESS_CHARS], tx.now_ms, start, start),
    )
    return token


def find(hashed: str) -> Actor | None:
    """The actor behind a token's hash, when the token lives."""
    found = rows(
        "SELECT t.user_id, t.id, u.role, u.status FROM tokens t JOIN users u ON u.id=t.user_id WHERE t.hash=?",
        (hashed,),
    )
    return Actor(*found[0]) if found else None


def load_actors(tx: Transaction, tokens: Sequence[int]) -> None:
    """Looks up, in one query, who stands behind the tokens of a batch, inside its transaction."""
    missing = sorted({t for t in tokens if t not in tx.cache.actors})
    if missing:
        found = rows(
            "SELECT t.id, t.user_id, u.role, u.status FROM tokens t JOIN users u ON u.id=t.user_id "
            f"WHERE t.id IN ({placeholders(len(missing))})",
            missing,
        )
        tx.cache.actors.update({token: (user, role, status) for token, user, role, status in found})


def check_actor(tx: Transaction, token: int) -> tuple[int, str]:
    """(user, role) behind a token of this batch. Raises DeadTokenError or SuspendedError."""
    if token not in tx.cache.actors:
        load_actors(tx, [token])
    actor = tx.cache.actors.get(token)
    if actor is None:
        raise DeadTokenError
    if actor[2] == "suspended":
        raise SuspendedError
    return actor[0], actor[1]


def revoke(tx: Transaction, user: int, tokens: Sequence[int] | None = None) -> None:
    """Kills a user's tokens (None: all of them) and tells every gateway. Raises NotFoundError when a named one isn't theirs."""
    mine = {t for (t,) in rows("SELECT id FROM tokens WHERE user_id=?", (user,))}
    dead = sorted(mine if tokens is None else mine & set(tokens))
    if tokens is not None and len(dead) != len(set(tokens)):
        raise NotFoundError
    if not dead:
        return
    for part in chunks(dead, IDS_A_STATEMENT):
        execute(f"DELETE FROM tokens WHERE id IN ({placeholders(len(part))})", part)
    tx.append(GATEWAYS, "token.revoked", msgspec.json.encode({"user": user, "tokens": dead}))


def revoke_all(tx: Transaction, users: Sequence[int]) -> None:
    """Kills all tokens of users whose change of status tells the gateways of it."""
    for part in chunks(users, IDS_A_STATEMENT):
        execute(f"DELETE FROM tokens WHERE user_id IN ({placeholders(len(part))})", part)


def find_unused(after: int, before_ms: int, limit: int) -> tuple[int, dict[int, list[int]]]:
    """Of the next so many tokens after an id, those that nobody has used since a time, by user; and the id of the last that was
    looked at, 0 at the end."""
    found = rows("SELECT id, user_id, coalesce(used_ms, created_ms) FROM tokens WHERE id>? ORDER BY id LIMIT ?", (after, limit))
    by_user: dict[int, list[int]] = {}
    for number, user, used_ms in found:
        if used_ms < before_ms:
            by_user.setdefault(user, []).append(number)
    return found[-1][0] if len(found) == limit else 0, by_user


def revoke_unused(tx: Transaction, user: int, tokens: Sequence[int], before_ms: int) -> None:
    """Kills those of a user's tokens that are still unused."""
    sql = f"SELECT id FROM tokens WHERE user_id=? AND id IN ({placeholders(len(tokens))}) AND coalesce(used_ms, created_ms)<?"
    revoke(tx, user, [number for (number,) in rows(sql, (user, *tokens, before_ms))])


def sessions(user: int, after: int, limit: int) -> list[dict[str, Any]]:
    """The user's tokens: label, created, last used, address."""
    found = rows(
        "SELECT id, label, created_ms, used_ms, address FROM tokens WHERE user_id=? AND id>? ORDER BY id LIMIT ?",
        (user, after, limit),
    )
    return [
        {
            "id": i,
            "label": label,
            "created_at": rfc3339(made),
            "last_used_at": rfc3339_or_none(used),
            "address": address or None,
        }
        for i, label, made, used, address in found
    ]


def mark_used(tx: Transaction, used: Sequence[tuple[int, int, str]]) -> None:
    """Notes (token, at_ms, address) of tokens used lately: in bulk, from time to time."""
    for token, at_ms, address in used:
        execute("UPDATE tokens SET used_ms=?, address=? WHERE id=?", (at_ms, address[:ADDRESS_CHARS], token))


def poll_positions(token: int) -> tuple[int, int, int]:
    """The older client's cursor: (acknowledged, written) positions of this token, and the newest event id."""
    found = rows("SELECT poll_acked, poll_written FROM tokens WHERE id=?", (token,))
    if not found:
        raise DeadTokenError
    return int(found[0][0]), int(found[0][1]), head()


def advance_poll_positions(tx: Transaction, token: int, acked: int | None, written: int | None) -> None:
    """Moves the older client's cursor; places never go back."""
    if acked is not None:
        execute("UPDATE tokens SET poll_acked=? WHERE id=? AND poll_acked<?", (acked, token, acked))
    if written is not None:
        execute("UPDATE tokens SET poll_written=? WHERE id=? AND poll_written<?", (written, token, written))
