"""Tokens: bearer credentials, stored only as SHA-256. Revoking a token deletes its row.

Lookups and everything that a request waits for are raw SQL: a built query would cost more than the lookup.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import peewee

from models.identity import ended_tokens
from models.identity.user import User
from models.log.event import GATEWAYS, Transaction, head, transaction
from models.store.clock import now_ms, rfc3339, rfc3339_or_none
from models.store.database import (
    Base,
    NeverReusedIdField,
    chunks,
    engine,
    execute,
    fetch_column,
    fetch_rows,
    placeholders,
    rows,
    values_cte,
)
from models.store.errors import DeadTokenError, NotFoundError, SuspendedError

TOKEN_BYTES = 32
LABEL_CHARS = 64
ADDRESS_CHARS = 45  # a full IPv6 address, without a zone
MAX_IDS_PER_STATEMENT = 500
MAX_SESSIONS = 100  # of a user; a log-in ends those unused for longest
EXPIRED, ENDED = "the token has expired", "the token was revoked, or has expired"
MAX_CREATED_TOKENS = 1_000  # of a user, created by admins for bots and applications; one more ends the one unused for longest
SKIP_LOCKED = "FOR NO KEY UPDATE SKIP LOCKED"


class Token(Base):
    """One credential of a user: a session, or a token created for a bot or script."""

    id = NeverReusedIdField()  # caches use it as their key, so it must never belong to another token
    user = peewee.ForeignKeyField(User, on_delete="CASCADE")
    hash = peewee.CharField(max_length=64, unique=True)
    label = peewee.CharField(max_length=LABEL_CHARS)
    address = peewee.CharField(max_length=ADDRESS_CHARS)
    created_ms = peewee.BigIntegerField()
    used_ms = peewee.BigIntegerField(null=True)
    poll_acked = peewee.BigIntegerField()
    poll_written = peewee.BigIntegerField()
    is_session = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT FALSE")])  # created by a log-in
    expires_ms = peewee.BigIntegerField(null=True, index=True)
    issued_ms = peewee.BigIntegerField(null=True)  # of a token that the host signed: what it says, or 0

    class Meta:
        table_name = "tokens"


class Actor(msgspec.Struct, frozen=True):
    """The caller of a request: a valid token and its account."""

    user: int
    token: int
    role: str
    status: str
    bot: bool = False
    expires_ms: int | None = None  # when the token ends
    by_admin: int = 0  # the admin whose token it is, who acts for the user

    @property
    def counted_user(self) -> int:
        """The account whose rate limits count the calls."""
        return self.by_admin or self.user


def digest(token: str) -> str:
    """Return the hash that is stored for a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(
    tx: Transaction, user: int, label: str = "", address: str = "", *, is_session: bool = False, expires_ms: int | None = None
) -> str:
    """Create a token and return it; it can't be read again. The legacy client's cursor starts at the log's head.

    From `expires_ms` on it is refused; retention deletes it.

    A user has at most MAX_SESSIONS sessions and MAX_CREATED_TOKENS other tokens: those of the same kind that have not been used for
    longest end.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    start = tx.head
    others = MAX_SESSIONS - 1 if is_session else MAX_CREATED_TOKENS - 1
    surplus = rows(
        "SELECT id FROM tokens WHERE user_id=? AND is_session=? AND issued_ms IS NULL "
        "ORDER BY coalesce(used_ms, created_ms) DESC, id DESC LIMIT 1000000 OFFSET ?",
        (user, is_session, others),
    )
    if surplus:
        revoke(tx, user, [number for (number,) in surplus])
    execute(
        "INSERT INTO tokens (user_id, hash, label, address, created_ms, poll_acked, poll_written, is_session, expires_ms) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (user, digest(token), label[:LABEL_CHARS], address[:ADDRESS_CHARS], tx.now_ms, start, start, is_session, expires_ms),
    )
    return token


def find(hashes: Sequence[str]) -> dict[str, Actor]:
    """Return the actors of tokens by hash, without the hashes that are no token's."""
    found = rows(
        "SELECT t.hash, t.user_id, t.id, u.role, u.status, coalesce(u.bot, FALSE), t.expires_ms "
        f"FROM tokens t JOIN users u ON u.id=t.user_id WHERE t.hash IN ({placeholders(len(hashes))})",
        hashes,
    )
    # SQLite has 0 and 1 for `bot`
    return {hashed: Actor(user, number, role, status, bool(bot), ms) for hashed, user, number, role, status, bot, ms in found}


def load_actors(tx: Transaction, tokens: Sequence[int]) -> None:
    """Load the actors of a batch's tokens into the transaction's cache, with one query."""
    missing = sorted({t for t in tokens if t not in tx.cache.actors})
    if missing:
        found = rows(
            "SELECT t.id, t.user_id, u.role, u.status, t.expires_ms FROM tokens t JOIN users u ON u.id=t.user_id "
            f"WHERE t.id IN ({placeholders(len(missing))})",
            missing,
        )
        tx.cache.actors.update({token: (user, role, status, ms) for token, user, role, status, ms in found})


def check_actor(tx: Transaction, token: int) -> tuple[int, str]:
    """Return (user, role) of a token of this batch. Raises DeadTokenError or SuspendedError."""
    if token not in tx.cache.actors:
        load_actors(tx, [token])
    actor = tx.cache.actors.get(token)
    if actor is None:
        raise DeadTokenError
    user, role, status, expires_ms = actor
    if expires_ms is not None and expires_ms <= tx.now_ms:
        raise DeadTokenError(EXPIRED)
    if status == "suspended":
        raise SuspendedError
    return user, role


def revoke(tx: Transaction, user: int, tokens: Sequence[int] | None = None, *, may_return: bool = False) -> None:
    """Delete a user's tokens (None: all of them) and append the event. Those of the host do not come back, unless they may.

    Raises NotFoundError when one is not the user's.
    """
    mine = {t for (t,) in rows("SELECT id FROM tokens WHERE user_id=?", (user,))}
    dead = sorted(mine if tokens is None else mine & set(tokens))
    if tokens is not None and len(dead) != len(set(tokens)):
        raise NotFoundError
    if not dead:
        return
    for part in chunks(dead, MAX_IDS_PER_STATEMENT):
        if not may_return:
            ended_tokens.record(part)
            # The model is in models.notices. Subscriptions of sessions are deleted with the token.
            execute(f"DELETE FROM push_subscriptions WHERE host_token IN ({placeholders(len(part))})", part)
        execute(f"DELETE FROM tokens WHERE id IN ({placeholders(len(part))})", part)
    tx.append(GATEWAYS, "token.revoked", msgspec.json.encode({"user": user, "tokens": dead}))


def end_all(tx: Transaction, user: int) -> int:
    """Delete all tokens of a user, and end the host's tokens that were issued up to now, also those that are not known here.

    Return up to when those that ended were issued, in Unix ms: it may be a little later, by the host's clock.
    """
    (newest,) = rows("SELECT coalesce(profile_issued_ms, 0) FROM users WHERE id=?", (user,))[0]  # of no token that it had, later
    ended_ms = max(tx.now_ms, int(newest))
    User.update(tokens_after_ms=ended_ms).where(User.id == user).execute()
    revoke(tx, user)
    _end_subscriptions([user])
    return ended_ms


def revoke_others(tx: Transaction, user: int, kept: int) -> None:
    """Delete all tokens of a user but one."""
    revoke(tx, user, [number for (number,) in rows("SELECT id FROM tokens WHERE user_id=? AND id<>?", (user, kept))])


def count(user: int) -> int:
    """The number of a user's tokens."""
    return Token.select().where(Token.user == user).count()


def revoke_all(tx: Transaction, users: Sequence[int]) -> None:
    """Delete all tokens of users. Gateways learn of it from the event of the users' change of status."""
    for part in chunks(users, MAX_IDS_PER_STATEMENT):
        execute(f"DELETE FROM tokens WHERE user_id IN ({placeholders(len(part))})", part)
        _end_subscriptions(part)


def _end_subscriptions(users: Sequence[int]) -> None:
    """End the push subscriptions of users, also those that were made with tokens of the host's that have ended."""
    execute(f"DELETE FROM push_subscriptions WHERE user_id IN ({placeholders(len(users))})", users)


def find_unused(after: int, before_ms: int, limit: int) -> tuple[int, dict[int, list[int]]]:
    """Scan the next `limit` tokens after an id for those unused since a time.

    Return the id of the last token scanned, 0 at the end, and the unused ones by user.
    """
    columns = (Token.id, Token.user, peewee.fn.coalesce(Token.used_ms, Token.created_ms))
    found = fetch_rows(Token.select(*columns).where(Token.id > after).order_by(Token.id).limit(limit))
    by_user: dict[int, list[int]] = {}
    for number, user, used_ms in found:
        if used_ms < before_ms:
            by_user.setdefault(user, []).append(number)
    return found[-1][0] if len(found) == limit else 0, by_user


def revoke_unused(tx: Transaction, user: int, tokens: Sequence[int], before_ms: int) -> None:
    """Revoke those of the user's tokens that are still unused."""
    last_used = peewee.fn.coalesce(Token.used_ms, Token.created_ms)
    unused = Token.select(Token.id).where(Token.user == user, Token.id.in_(list(tokens)), last_used < before_ms)
    revoke(tx, user, fetch_column(unused))


def trim(tx: Transaction, limit: int) -> int:
    """Delete at most `limit` tokens that have expired, and return their number. No gateway needs an event: each knows when a token
    ends. One of the host's stays until it would be refused also without its row."""
    of_host = Token.issued_ms.is_null(is_null=False) & (Token.expires_ms <= tx.now_ms - ended_tokens.KEEP_MS)
    is_due = (Token.expires_ms <= tx.now_ms) & (Token.issued_ms.is_null() | of_host)
    expired = Token.select(Token.id).where(is_due).limit(limit)
    return int(Token.delete().where(Token.id.in_(expired)).execute())


def sessions(user: int, after: int, limit: int) -> list[dict[str, Any]]:
    """Return a page of the user's tokens that have not expired, by id."""
    columns = (Token.id, Token.label, Token.created_ms, Token.used_ms, Token.address)
    is_alive = Token.expires_ms.is_null() | (Token.expires_ms > now_ms())
    query = Token.select(*columns).where(Token.user == user, Token.id > after, is_alive).order_by(Token.id).limit(limit)
    return [
        {
            "id": i,
            "label": label,
            "created_at": rfc3339(made),
            "last_used_at": rfc3339_or_none(used),
            "address": address or None,
        }
        for i, label, made, used, address in fetch_rows(query)
    ]


def mark_used(used: Sequence[tuple[int, int, str]]) -> None:
    """Record (token, at_ms, address) of some tokens, in a transaction of its own without the log's lock.

    A token that another transaction changes is left out on PostgreSQL: waiting for it could deadlock.
    """
    if not used:
        return
    with transaction(appends=False, durable=False):
        if engine().name == "postgresql":
            ids = [token for token, _, _ in used]
            free = {i for (i,) in rows(f"SELECT id FROM tokens WHERE id IN ({placeholders(len(ids))}) {SKIP_LOCKED}", ids)}
            used = [use for use in used if use[0] in free]
        if used:
            execute(
                values_cte("id, used_ms, address", len(used)) + "UPDATE tokens SET used_ms=input.used_ms, address=input.address "
                "FROM input WHERE tokens.id=input.id AND coalesce(tokens.used_ms, 0)<input.used_ms",
                [value for token, at_ms, address in used for value in (token, at_ms, address[:ADDRESS_CHARS])],
            )


def poll_positions(token: int) -> tuple[int, int, int]:
    """Return the legacy client's cursor: the token's (acknowledged, written) positions, and the newest event id."""
    found = rows("SELECT poll_acked, poll_written FROM tokens WHERE id=?", (token,))
    if not found:
        raise DeadTokenError
    return int(found[0][0]), int(found[0][1]), head()


def advance_poll_positions(tx: Transaction, token: int, acked: int | None, written: int | None) -> None:
    """Advance the legacy client's cursor; positions never go back."""
    if acked is not None:
        execute("UPDATE tokens SET poll_acked=? WHERE id=? AND poll_acked<?", (acked, token, acked))
    if written is not None:
        execute("UPDATE tokens SET poll_written=? WHERE id=? AND poll_written<?", (written, token, written))
