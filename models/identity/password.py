"""Passwords: the rules for them, and their hashes (argon2id).

Passwords are prepared by the OpaqueString profile of RFC 8265, section 4.2, so that each keyboard's form of a text is one password.
Computing a hash takes about 25 ms of a core, by design, so it never runs on the event loop's thread.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

PASSWORD_CHARS = (10, 200)
MAX_PREPARED_CHARS = 1_000  # no longer text has 200 characters in NFC; sorting many combining marks takes quadratic time
# OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. RFC 9106's parameters take ten times as long: a gateway with two
# cores for everything would sign up four people per second.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# A hash with the same parameters, verified when there is no user, so that response times do not reveal which users exist
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$oVKtkHvGmjU/NS3slOOyXQ$ki6Abyd7/GekTrhTuux10muIo6cLJLETy+ahM5kiPWg"


@cache
def frequent_passwords() -> frozenset[str]:
    """Return the most frequently chosen passwords of allowed length, which attackers try first."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 0.1 s and 10 MB, for gateways that make accounts

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_CHARS[0])


def invalid(password: str, names: tuple[str, ...] = (), field: str = "password") -> list[tuple[str, str]]:
    """Return (field, message) when the password is not allowed. It must not be one of `names`, such as the username."""
    low, high = PASSWORD_CHARS
    password = prepared(password)
    if any(unicodedata.category(char) == "Cc" for char in password):
        return [(field, "must not contain control characters")]
    if not low <= len(password) <= high:
        return [(field, f"{low} to {high} characters")]
    if password.lower() in frequent_passwords() or len(set(password)) == 1:
        return [(field, "is one of the most common ones: choose another")]
    if password.lower() in {name.lower() for name in names}:
        return [(field, "is your name or address: choose another")]
    return []


def prepared(password: str) -> str:
    """Return the form that is hashed: NFC, with ASCII spaces in the place of others (RFC 8265, section 4.2.2)."""
    if password.isascii() or len(password) > MAX_PREPARED_CHARS:
        return password
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    return unicodedata.normalize("NFC", spaced)


def hashed(password: str) -> str:
    """Return the hash to store."""
    return hasher.hash(prepared(password))


def matches(kept: str | None, password: str) -> bool:
    """Return whether the password matches the stored hash. Takes equally long when there is no hash.

    A hash of an earlier version was made from the password as it was typed.
    """
    return _verifies(kept, prepared(password)) or (prepared(password) != password and _verifies(kept, password))


def rehashed(kept: str, password: str) -> str | None:
    """Return a new hash for a password that matches, if the stored one was made from another form of it."""
    if prepared(password) == password or _verifies(kept, prepared(password)):
        return None
    return hashed(password)


def _verifies(kept: str | None, form: str) -> bool:
    try:
        return hasher.verify(kept or NOBODY, form) and kept is not None
    except VerificationError:
        return False
