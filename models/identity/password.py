"""Passwords: the rules for them, and their hashes (argon2id).

Computing a hash takes about 25 ms of a core, by design, so it never runs on the event loop's thread.
"""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

PASSWORD_CHARS = (10, 200)
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
    if not low <= len(password) <= high:
        return [(field, f"{low} to {high} characters")]
    if password.lower() in frequent_passwords() or len(set(password)) == 1:
        return [(field, "is one of the most common ones: choose another")]
    if password.lower() in {name.lower() for name in names}:
        return [(field, "is your name or address: choose another")]
    return []


def hashed(password: str) -> str:
    """Return the hash to store."""
    return hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Return whether the password matches the stored hash. Takes equally long when there is no hash."""
    try:
        return hasher.verify(kept or NOBODY, password) and kept is not None
    except VerificationError:
        return False
