"""Tokens that the host signs. One that was verified becomes a row of `tokens`, and its user's profile what the token says.

A row that is deleted before the token's end must not come back with the token: revoking remembers its hash, and ending all of a
user's tokens remembers the moment, also when the account was deleted. Rows that make room for others do come back.
"""

from __future__ import annotations

from typing import NamedTuple

from models.accounts import hosted
from models.accounts.hosted import HostedUser, PreparedUser
from models.identity import ended_tokens, token
from models.identity.token import ADDRESS_CHARS, LABEL_CHARS
from models.log.event import Transaction
from models.store.database import engine, execute, rows
from models.store.errors import ConflictError, DeadTokenError, SuspendedError

MAX_TOKENS = 100  # of a user: some hosts sign one for each page that they show
UNKNOWN = "sub: nobody has this external id"
REVOKED = "token: it was revoked"
ISSUED_BEFORE = "iat: the user's tokens were revoked after the token was issued"


class HostToken(NamedTuple):
    """A token that was verified: its hash, its user with what it says about them, its times in Unix ms, its label and the address
    that it was first used from. `issued_ms` is 0 if the token does not say it."""

    hash: str
    user: PreparedUser
    issued_ms: int
    expires_ms: int
    label: str
    address: str

    @property
    def external_id(self) -> str:
        """The host's id of the user."""
        return self.user.requested.external_id


class _TokenOwner(NamedTuple):
    """An account, by which it is decided whether its token is accepted."""

    user: int
    status: str
    tokens_after_ms: int
    profile_issued_ms: int


def unchanged_since(new: HostToken, *, creates: bool) -> int | None:
    """Return the time of the account's newest change, its `profile_issued_ms`, if the token says nothing new; else None.

    What `accept` would only compare is compared here, without the log's lock. Raises DeadTokenError, which names the claim, or
    SuspendedError, if `accept` would.
    """
    account = _find_account(new, creates=creates)  # before the account is compared: a change meanwhile is then noticed
    if account is None or new.issued_ms < account.profile_issued_ms or hosted.would_change(new.user, engine().now_ms()):
        return None
    return account.profile_issued_ms


def _find_account(new: HostToken, *, creates: bool) -> _TokenOwner | None:
    """Return the account of a token, None for one that is to be made. Raises DeadTokenError or SuspendedError."""
    times = "coalesce(tokens_after_ms, -1), coalesce(profile_issued_ms, 0)"
    found = rows(f"SELECT id, status, {times} FROM users WHERE external_id=?", (new.external_id,))
    has_ended, ended_up_to = ended_tokens.ended(new.hash, new.external_id)
    if new.issued_ms <= ended_up_to:  # of an account that was deleted
        raise DeadTokenError(ISSUED_BEFORE)
    if not found:
        if has_ended:  # of an account that has another external id now
            raise DeadTokenError(REVOKED)
        if not creates:
            raise DeadTokenError(UNKNOWN)
        return None
    account = _TokenOwner(*found[0])
    if account.status != "active":
        raise SuspendedError if account.status == "suspended" else DeadTokenError(UNKNOWN)
    if new.issued_ms <= account.tokens_after_ms:
        raise DeadTokenError(ISSUED_BEFORE)
    if has_ended:
        raise DeadTokenError(REVOKED)
    return account


def accept(tx: Transaction, new: HostToken, *, creates: bool, unchanged_since: int | None = None) -> None:
    """Make a row of a token that was verified, unless there is one, and an account if the user has none. A token that is older than
    another one of the user's, or than an admin's change, does not change the account; nor does one that said nothing new when the
    newest of these changes was `unchanged_since`.

    Raises DeadTokenError, which names the claim, or SuspendedError.
    """
    if token.find([new.hash]):
        return
    account = _find_account(new, creates=creates)
    if account is None:
        (made,) = hosted.upsert_prepared(tx, [new.user], issued_ms=new.issued_ms).items
        user = made.id
    else:
        user = account.user
        if account.profile_issued_ms == unchanged_since:
            hosted.record_time(tx, [user], new.issued_ms)
        elif new.issued_ms >= account.profile_issued_ms:
            _update_profile(tx, new.user, new.issued_ms)
    _insert(tx, user, new)


def _insert(tx: Transaction, user: int, new: HostToken) -> None:
    """Insert the row. The tokens longest unused make room and may return. The legacy client's cursor starts at the log's head."""
    surplus = rows(
        "SELECT id FROM tokens WHERE user_id=? AND issued_ms IS NOT NULL ORDER BY coalesce(used_ms, created_ms) DESC, id DESC "
        "LIMIT 1000000 OFFSET ?",
        (user, MAX_TOKENS - 1),
    )
    if surplus:
        token.revoke(tx, user, [number for (number,) in surplus], may_return=True)
    times = (tx.now_ms, new.issued_ms, new.expires_ms)
    execute(
        "INSERT INTO tokens (user_id, hash, label, address, created_ms, issued_ms, expires_ms, poll_acked, "
        "poll_written, is_session) "
        "VALUES (?,?,?,?,?,?,?,?,?,?)",
        (user, new.hash, new.label[:LABEL_CHARS], new.address[:ADDRESS_CHARS], *times, tx.head, tx.head, False),
    )


def _update_profile(tx: Transaction, user: PreparedUser, issued_ms: int) -> None:
    """Change the account. The last admin stays one."""
    try:
        with tx.savepoint():
            hosted.upsert_prepared(tx, [user], issued_ms=issued_ms)
    except ConflictError:
        user.requested.role = None
        hosted.upsert_prepared(tx, [user], issued_ms=issued_ms)


def prepared(requested: HostedUser) -> PreparedUser:
    """Return a user without the fields that are not allowed."""
    wrong = {field for field, _ in hosted.invalid_fields(requested)}
    fields = {name: getattr(requested, name) for name in requested.__struct_fields__ if name not in wrong}
    (user,) = hosted.prepare([HostedUser(**fields)])
    return user
