"""An attempt to sign up, repeated by its owner: the code is sent again, or the address, name or password is corrected.

The answer to a sign-up has the attempt's token, an HMAC, which proves that a later request comes from the same person. It is valid
for as long as the attempt reserves its username: until the account is verified, and for a day at most.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from models.accounts import registration
from models.accounts.registration import RESERVED_MS
from models.identity import email_address
from models.identity.user import User
from models.log.event import Transaction
from models.store.database import fetch_rows
from models.store.errors import InvalidError

OVER = "is over: sign up again"
MAX_ID_DIGITS = 16


def token(secret: str, account: int) -> str:
    """Return the token of an attempt: its account's id, a dot and an HMAC (RFC 2104) in hex."""
    return f"{account}.{_mac(secret, account)}"


def find(secret: str, token_: str | None, now_ms: int) -> tuple[int, str, str] | None:
    """Return (account, username, address) of the attempt of a token, or None when there is none, or none any more."""
    number, _, mac = (token_ or "").partition(".")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_ID_DIGITS and mac.isascii()):
        return None
    if not hmac.compare_digest(mac, _mac(secret, int(number))):
        return None
    pending = (User.id == int(number)) & (User.status == "pending") & (User.created_ms > now_ms - RESERVED_MS)
    found = fetch_rows(User.select(User.id, User.username, User.email).where(pending))
    return found[0] if found else None


def forget(tx: Transaction, secret: str, token_: str | None) -> None:
    """Delete the attempt of a token, if there is one: another takes its place, with the same username or with another."""
    earlier = find(secret, token_, tx.now_ms)
    if earlier is not None:
        User.delete().where(User.id == earlier[0]).execute()


def send_again(
    tx: Transaction,
    secret: str,
    token_: str,
    address: str | None,
    allowed: Callable[[Sequence[int]], Sequence[int]] = lambda ids: ids,
) -> str:
    """Mail a new code for an attempt, to another address if one is given, and return the attempt's username. The earlier code is
    void. `allowed` is as for registration.verify. Raises InvalidError when the attempt is over."""
    attempt = find(secret, token_, tx.now_ms)
    if attempt is None or not allowed([attempt[0]]):
        raise InvalidError(("attempt", OVER))
    account, username, first_address = attempt
    if address is not None:
        User.update(email=address, email_key=email_address.key(address)).where(User.id == account).execute()
    registration.mail_code(tx, secret, account, username, address or first_address)
    return username


def _mac(secret: str, account: int) -> str:
    return hmac.new(secret.encode(), f"attempt {account}".encode(), hashlib.sha256).hexdigest()
