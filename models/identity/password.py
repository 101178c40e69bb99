"""Passwords: what is allowed, and how they are kept (argon2id).

A hash takes some 25 ms of a core, by design; it is never made on the loop's thread.
"""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

PASSWORD_CHARS = (10, 200)
# OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. RFC 9106's choices hold a core for ten times as long, and a
# gateway that has two of them for everything would sign up four people a second.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified where there is no user, so that time tells nothing: a hash by the same measure
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$oVKtkHvGmjU/NS3slOOyXQ$ki6Abyd7/GekTrhTuux10muIo6cLJLETy+ahM5kiPWg"


@cache
def common() -> frozenset[str]:
    """The passwords, long enough, that people choose most often: tried first by whoever guesses."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 0.1 s and 10 MB, for gateways that make accounts

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_CHARS[0])


def invalid(password: str, names: tuple[str, ...] = (), field: str = "password") -> list[tuple[str, str]]:
    """(field, message) when the password won't do. `names`, such as the username, won't either."""
    low, high = PASSWORD_CHARS
    if not low <= len(password) <= high:
        return [(field, f"{low} to {high} characters")]
    if password.lower() in common() or len(set(password)) == 1:
        return [(field, "is one of the most common ones: choose another")]
    if password.lower() in {name.lower() for name in names}:
        return [(field, "is your name or address: choose another")]
    return []


def hashed(password: str) -> str:
    """What is kept of it."""
    return hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where there is none."""
    try:
        return hasher.verify(kept or NOBODY, password) and kept is not None
    except VerificationError:
        return False
