"""Codes sent by mail: six digits, valid for ten minutes and five attempts, stored only as an HMAC.

An attacker has five chances in a million for each code, and the rate limits slow them down. An account has at most one code for
each purpose: a new one replaces the old.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence

import peewee

from models.log.event import Transaction
from models.store.database import Base, affected_rows, execute, placeholders, rows

SIGNUP, LOGIN = "signup", "login"  # purposes
DIGITS = 6
VALID_FOR_S = 600
MAX_TRIES = 5
NOBODY = 0  # not an account: its rows make the writes for unknown addresses equal to those for known ones


class Code(Base):
    """One code. `mac` covers account, purpose and code, so that it is valid for nothing else."""

    account = peewee.BigIntegerField()
    purpose = peewee.CharField(max_length=8)
    mac = peewee.CharField(max_length=64)
    tries = peewee.IntegerField()
    expires_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "codes"
        primary_key = peewee.CompositeKey("account", "purpose")


def new() -> str:
    """Return six random digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def digits_of(typed: str) -> str:
    """Return the digits in a text, of any script, as ASCII digits."""
    return "".join(str(unicodedata.decimal(char)) for char in typed if char.isdecimal())


def mac(secret: str, account: int, purpose: str, code: str) -> str:
    """Return the HMAC that is stored for a code (RFC 2104)."""
    return hmac.new(secret.encode(), f"{purpose} code of {account}: {code}".encode(), hashlib.sha256).hexdigest()


def issue(tx: Transaction, secret: str, account: int, purpose: str, code: str) -> int:
    """Store a code as the account's only one for this purpose. Return when it expires, in ms."""
    expires_ms = tx.now_ms + VALID_FOR_S * 1000
    execute(
        "INSERT INTO codes (account, purpose, mac, tries, expires_ms) VALUES (?,?,?,0,?) ON CONFLICT (account, purpose) "
        "DO UPDATE SET mac=excluded.mac, tries=0, expires_ms=excluded.expires_ms",
        (account, purpose, mac(secret, account, purpose, code), expires_ms),
    )
    return expires_ms


def redeem(tx: Transaction, secret: str, accounts: Sequence[int], purpose: str, code: str) -> int | None:
    """Use a code up. Return which of the accounts it belongs to, or None, which counts as an attempt for each of them.

    Of what was typed only the digits count. A text without six digits is no attempt.
    The caller must commit in both cases, else the attempt is not counted. A wrong code for unknown accounts writes as much as one
    for known accounts.
    """
    code = digits_of(code)
    if len(code) != DIGITS:
        return None
    found = rows(
        f"SELECT account, mac FROM codes WHERE account IN ({placeholders(len(accounts) + 1)}) AND account<>? AND purpose=? "
        "AND tries<? AND expires_ms>?",
        (*accounts, NOBODY, NOBODY, purpose, MAX_TRIES, tx.now_ms),
    )
    matching = [account for account, stored in found if hmac.compare_digest(stored, mac(secret, account, purpose, code))]
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
    """Delete the accounts' codes for a purpose."""
    if accounts:
        execute(f"DELETE FROM codes WHERE account IN ({placeholders(len(accounts))}) AND purpose=?", (*accounts, purpose))


def trim(tx: Transaction, limit: int) -> int:
    """Delete at most `limit` expired codes and return their number."""
    return affected_rows(
        "DELETE FROM codes WHERE (account, purpose) IN "
        "(SELECT account, purpose FROM codes WHERE expires_ms<=? AND account<>? LIMIT ?)",
        (tx.now_ms, NOBODY, limit),
    )
