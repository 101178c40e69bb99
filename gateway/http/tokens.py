"""Who calls: tokens of the Authorization header, the query (event endpoints only) or the session cookie.

Tokens are looked up once and kept; what ends or changes them comes through the log, so it is in force on every gateway as soon
as its tail has read it. Every write checks its token again inside its transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import msgspec

from gateway.commit.threads import Pool
from metrics import declared as metrics
from models.identity import token
from models.identity.token import Actor
from models.log.event import Event
from models.store.clock import now_ms
from models.store.errors import DeadTokenError, SuspendedError

TOKENS_KEPT = 50_000
USED_NOTED_S = 60  # how often a token's last use is written down
COOKIE = "bellwire_session"
COOKIE_DAYS = 30  # a browser that is closed stays signed in


class _Change(msgspec.Struct):
    user: int
    tokens: list[int] | None = None
    status: str | None = None


class Tokens:
    """The living tokens that this gateway has met."""

    def __init__(self, read: Pool) -> None:
        self._read = read
        self._actors: dict[str, Actor] = {}
        self._by_user: dict[int, set[str]] = {}
        self._changes = 0
        self._used: dict[int, tuple[int, str]] = {}
        self._noted: dict[int, float] = {}

    def known(self, credential: str) -> Actor | None:
        """The actor of a token met before: no wait, no store."""
        return self._actors.get(hashlib.sha256(credential.encode()).hexdigest())

    async def find(self, credential: str) -> Actor:
        """The actor of a token. Raises DeadTokenError or SuspendedError."""
        hashed = token.digest(credential)
        while True:
            changes = self._changes
            actor = await self._read(token.find, hashed)
            if changes == self._changes:  # else the log told of a change while we read
                break
        if actor is None:
            metrics.AUTH_FAILURES_TOTAL.labels("token").inc()
            raise DeadTokenError
        if actor.status != "active":
            raise SuspendedError if actor.status == "suspended" else DeadTokenError
        if len(self._actors) >= TOKENS_KEPT:
            self._drop(next(iter(self._actors)))
        self._actors[hashed] = actor
        self._by_user.setdefault(actor.user, set()).add(hashed)
        return actor

    def used(self, actor: Actor, address: str) -> None:
        """Notes that a token was used; written down now and then."""
        now = time.monotonic()
        if now - self._noted.get(actor.token, -USED_NOTED_S) >= USED_NOTED_S:
            self._noted[actor.token] = now
            self._used[actor.token] = (now_ms(), address)

    def take_used(self) -> Sequence[tuple[int, int, str]]:
        """(token, at_ms, address) noted since the last call."""
        used, self._used = self._used, {}
        if len(self._noted) > TOKENS_KEPT:
            self._noted.clear()
        return [(number, at, address) for number, (at, address) in used.items()]

    def forget(self, event: Event) -> _Change:
        """Drops what an account event made stale, and tells of whom it was."""
        change = msgspec.json.decode(event.data, type=_Change)
        self._changes += 1
        for hashed in list(self._by_user.get(change.user, ())):
            self._drop(hashed)
        return change

    def forget_all(self) -> None:
        """Drops all: changes may have been missed."""
        self._changes += 1
        self._actors.clear()
        self._by_user.clear()

    def _drop(self, hashed: str) -> None:
        actor = self._actors.pop(hashed)
        mine = self._by_user[actor.user]
        mine.discard(hashed)
        if not mine:
            del self._by_user[actor.user]
