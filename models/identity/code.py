"""Codes that go by mail: six digits, good for ten minutes and five tries, kept only as an HMAC.

Somebody who guesses has five chances in a million with each code, and is slowed down by the rate limits. Of an account there is at
most one code for each purpose: a new one voids the old.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

import peewee

from models.log.event import Transaction
from models.store.database import Base, affected_rows, execute, placeholders, rows

SIGNUP, LOGIN = "signup", "login"  # purposes
GOOD_FOR_S = 600
TRIES = 5
NOBODY = 0  # an account that is none, so that where there is nobody as much is written as where there is


class Code(Base):
    """One code. `mac` covers account, purpose and code, so that it is good for nothing else."""

    account = peewee.BigIntegerField()
    purpose = peewee.CharField(max_length=8)
    mac = peewee.CharField(max_length=64)
    tries = peewee.IntegerField()
    expires_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "codes"
        primary_key = peewee.CompositeKey("account", "purpose")


def new() -> str:
    """Six digits."""
    return f"{secrets.randbelow(10**6):06d}"


def mac(secret: str, account: int, purpose: str, code: str) -> str:
    """What is kept of a code (RFC 2104)."""
    return hmac.new(secret.encode(), f"{purpose} code of {account}: {code}".encode(), hashlib.sha256).hexdigest()


def issue(tx: Transaction, secret: str, account: int, purpose: str, code: str) -> int:
    """Makes a code the account's one for this purpose. Returns when it ends to be good, in ms."""
    expires_ms = tx.now_ms + GOOD_FOR_S * 1000
    execute(
        "INSERT INTO codes (account, purpose, mac, tries, expires_ms) VALUES (?,?,?,0,?) ON CONFLICT (account, purpose) "
        "DO UPDATE SET mac=excluded.mac, tries=0, expires_ms=excluded.expires_ms",
        (account, purpose, mac(secret, account, purpose, code), expires_ms),
    )
    return expires_ms


def redeem(tx: Transaction, secret: str, accounts: Sequence[int], purpose: str, code: str) -> int | None:
    """Uses up a code: the account of these whose code it is, or None. A wrong one counts as a try of each.

    The caller commits either way, or the try would not be counted.
    """
    found = rows(
        f"SELECT account, mac FROM codes WHERE account IN ({placeholders(len(accounts) + 1)}) AND account<>? AND purpose=? "
        "AND tries<? AND expires_ms>?",
        (*accounts, NOBODY, NOBODY, purpose, TRIES, tx.now_ms),
    )
    matching = [account for account, kept in found if hmac.compare_digest(kept, mac(secret, account, purpose, code))]
    if matching:
        void(tx, matching[:1], purpose)
        return int(matching[0])
    tried = [account for account, _ in found] or [NOBODY]
    if not affected_rows(
        f"UPDATE codes SET tries=tries+1 WHERE account IN ({placeholders(len(tried))}) AND purpose=?", (*tried, purpose)
    ):
        issue(tx, secret, NOBODY, purpose, new())
    return None


def void(tx: Transaction, accounts: Sequence[int], purpose: str) -> None:
    """Voids codes."""
    if accounts:
        execute(f"DELETE FROM codes WHERE account IN ({placeholders(len(accounts))}) AND purpose=?", (*accounts, purpose))


def trim(tx: Transaction, limit: int) -> int:
    """Forgets codes that are no longer good; returns how many."""
    return affected_rows(
        "DELETE FROM codes WHERE (account, purpose) IN "
        "(SELECT account, purpose FROM codes WHERE expires_ms<=? AND account<>? LIMIT ?)",
        (tx.now_ms, NOBODY, limit),
    )
