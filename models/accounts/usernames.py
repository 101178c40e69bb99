"""Usernames of accounts that the host makes: what it gives, or made of the display name or the external id, and free."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from models.accounts.registration import RESERVED_MS, USERNAME, reserved
from models.store.database import chunks, placeholders, rows
from models.store.text_rules import fold

MAX_CHARS, MIN_CHARS = 32, 2
SPARE_NUMBERS = 8  # beyond those that a batch needs; then the suffix follows from the external id, and at last is random
DIGEST_CHARS = (8, 16)  # of suffixes that follow from it
RANDOM_BYTES = 8  # nobody can sign up for all of these beforehand, and none is looked up
MAX_KEYS_PER_QUERY = 500
_APOSTROPHES = re.compile("['\u2019\u02bc`\u00b4]")
_OTHERS = re.compile(r"[^a-z0-9._]+")
_RANDOM = re.compile(f"[0-9a-f]{{{2 * RANDOM_BYTES}}}")


class NameWish(NamedTuple):
    """The username that an account is to have, if it is free. `user` and `current` are of an account that is there."""

    base: str
    external_id: str
    user: int | None = None
    current: str | None = None

    @property
    def has_it(self) -> bool:
        """Whether the account has this username already, but for case."""
        return self.current is not None and self.current.lower() == self.base.lower()

    @property
    def has_variant(self) -> bool:
        """Whether the account has this username with a suffix."""
        suffix = (self.current or "").rpartition("-")[2]
        is_number = suffix.isascii() and suffix.isdigit()
        is_suffix = is_number or suffix in _digests(self.external_id) or _RANDOM.fullmatch(suffix) is not None
        return is_suffix and self.current is not None and _variant(self.base, suffix).lower() == self.current.lower()


def made_of(name: str | None) -> str:
    """Return the username that is made of a name, `maria-jose` of `Maria José`; empty if it has too few Latin letters."""
    if name and USERNAME.fullmatch(name):
        return name
    made = _latin(name or "").lower()
    return made if len(made) >= MIN_CHARS else ""


def made_of_external_id(external_id: str) -> str:
    """Return the username that is made of an external id: `user-42` of `42`."""
    made = made_of(external_id.lower())
    return made if made and not made.isdigit() else _cut(f"user-{_latin(external_id) or _digests(external_id)[0]}")


def _latin(name: str) -> str:
    """Return the letters and digits of a name that a username may have. Of an e-mail address only what stands before the @: the
    username is for everybody to see."""
    name = name.strip().removeprefix("@").partition("@")[0]
    return _cut(_OTHERS.sub("-", _APOSTROPHES.sub("", fold(name))))


def _cut(name: str) -> str:
    return name.strip("-._")[:MAX_CHARS].rstrip("-._")


def _digests(external_id: str) -> list[str]:
    digest = hashlib.sha256(external_id.encode()).hexdigest()
    return [digest[:size] for size in DIGEST_CHARS]


def _variant(name: str, suffix: str) -> str:
    return f"{name[: MAX_CHARS - 1 - len(suffix)].rstrip('-._')}-{suffix}"


def choose(now_ms: int, wishes: Sequence[NameWish]) -> list[str]:
    """Return a free username for each wish: the one that it names, else that with a suffix. It only reads.

    What an account has already it keeps, so that doing it again changes nothing. The number of queries is bounded for a batch, also
    if all wishes are for one name.
    """
    owners = _owners({wish.base.lower() for wish in wishes}, now_ms)
    leaving = {wish.user for wish in wishes if wish.current is not None and not (wish.has_it or wish.has_variant)}
    used = {key for key, owner in owners.items() if owner not in leaving}
    chosen: dict[int, str] = {}
    for n, wish in enumerate(wishes):
        if wish.has_it:
            chosen[n] = wish.base
        elif wish.base.lower() not in used:
            chosen[n] = wish.base
            used.add(wish.base.lower())
        elif wish.has_variant:
            chosen[n] = wish.current or ""
    _choose_variants(now_ms, {n: wish for n, wish in enumerate(wishes) if n not in chosen}, chosen)
    return [chosen[n] for n in range(len(wishes))]


def _choose_variants(now_ms: int, wishes: dict[int, NameWish], chosen: dict[int, str]) -> None:
    """Add a username with a suffix for each of these wishes: the next free number, one that follows from the external id, or
    a random one."""
    counts = Counter(wish.base.lower() for wish in wishes.values())
    numbers = {name: [str(number) for number in range(2, 2 + count + SPARE_NUMBERS)] for name, count in counts.items()}
    tried = {_variant(name, number).lower() for name, suffixes in numbers.items() for number in suffixes}
    tried.update(_variant(w.base, digest).lower() for w in wishes.values() for digest in _digests(w.external_id))
    used = {name.lower() for name in chosen.values()} | reserved(sorted(tried), now_ms)
    untried = {name: iter(suffixes) for name, suffixes in numbers.items()}
    for n, wish in wishes.items():
        random = iter(lambda: secrets.token_hex(RANDOM_BYTES), "")
        suffixes = chain(untried[wish.base.lower()], _digests(wish.external_id), random)
        variants = (_variant(wish.base, suffix) for suffix in suffixes)
        chosen[n] = next(name for name in variants if name.lower() not in used)
        used.add(chosen[n].lower())


def _owners(keys: Iterable[str], now: int) -> dict[str, int]:
    """Return who has these usernames, in lower case, or reserves them."""
    owners: dict[str, int] = {}
    for part in chunks(sorted(keys), MAX_KEYS_PER_QUERY):
        sql = f"SELECT username_key, id FROM users WHERE username_key IN ({placeholders(len(part))})"
        owners.update(rows(f"{sql} AND (status<>'pending' OR created_ms>?)", (*part, now - RESERVED_MS)))
    return owners
