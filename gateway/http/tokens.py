"""The tokens that this gateway has met, in memory.

A token is read from the store once. Its end or change comes through the log, so it takes effect on every gateway as soon as its
tail has read it. Every write checks its token again inside its transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from gateway.commit.threads import BatchedRead, ThreadPool
from metrics import declared as metrics
from models.identity import token
from models.identity.token import Actor
from models.log.event import Event
from models.store.clock import now_ms
from models.store.errors import DeadTokenError, SuspendedError

if TYPE_CHECKING:
    from gateway.jwt.host_tokens import HostTokens

MAX_CACHED_TOKENS = 50_000
RECORD_USE_EVERY_S = 60  # of one token
COOKIE = "bellwire_session"
COOKIE_DAYS = 30  # a browser that is closed stays signed in

metrics.begin_at_0(metrics.AUTH_FAILURES_TOTAL, ("token", "password", "code"))


class AccountChange(msgspec.Struct):
    """The data of an account event: the user, the tokens that are dead, and the status and role after it.

    Gateways of earlier versions tell no role.
    """

    user: int
    tokens: list[int] | None = None
    status: str | None = None
    role: str | None = None


def has_expired(actor: Actor) -> bool:
    """Whether the actor's token has ended by its time."""
    return actor.expires_ms is not None and actor.expires_ms <= now_ms()


async def _read_actors(read: ThreadPool, hashes: list[str]) -> dict[str, Actor | None]:
    """The actor of each token, None of those that are unknown."""
    return dict.fromkeys(hashes) | await read(token.find, hashes)


class TokenCache:
    """Valid tokens and their actors, by the token's hash."""

    def __init__(self, read: ThreadPool, host_tokens: HostTokens | None = None) -> None:
        self._read = BatchedRead[str, Actor | None](partial(_read_actors, read))
        self._host_tokens = host_tokens
        self._actors: dict[str, Actor] = {}
        self._by_user: dict[int, set[str]] = {}
        self._changes = 0
        self._uses: dict[int, tuple[int, str]] = {}  # not collected yet
        self._use_recorded: dict[int, float] = {}

    def cached(self, credential: str) -> Actor | None:
        """The actor of a token, if it is in memory and has not expired. It neither waits nor reads the store."""
        actor = self._actors.get(hashlib.sha256(credential.encode()).hexdigest())
        return None if actor is not None and has_expired(actor) else actor

    async def find(self, credential: str, address: str = "") -> Actor:
        """The actor of a token. A token of the host's that is not known yet becomes one, first used from `address`.

        Raises DeadTokenError, SuspendedError or StoreDownError.
        """
        hashed = token.digest(credential)
        actor = await self._find(hashed)
        if actor is None and self._host_tokens is not None and self._host_tokens.may_accept(credential):
            await self._accept(self._host_tokens, credential, address)
            actor = await self._find(hashed)
        if actor is None:
            metrics.AUTH_FAILURES_TOTAL.labels("token").inc()
            raise DeadTokenError
        if has_expired(actor):
            metrics.AUTH_FAILURES_TOTAL.labels("token").inc()
            raise DeadTokenError(f"exp: {token.EXPIRED}" if "." in credential else token.EXPIRED)
        if actor.status != "active":
            raise SuspendedError if actor.status == "suspended" else DeadTokenError
        if len(self._actors) >= MAX_CACHED_TOKENS:
            self._drop(next(iter(self._actors)))
        self._actors[hashed] = actor
        self._by_user.setdefault(actor.user, set()).add(hashed)
        return actor

    async def _find(self, hashed: str) -> Actor | None:
        while True:
            changes = self._changes
            actor = await self._read(hashed)
            if changes == self._changes:  # else an account changed during the read
                return actor

    async def _accept(self, host_tokens: HostTokens, credential: str, address: str) -> None:
        try:
            await host_tokens.accept(credential, address)
        except DeadTokenError:
            metrics.AUTH_FAILURES_TOTAL.labels("token").inc()
            raise

    def record_use(self, actor: Actor, address: Callable[[], str]) -> None:
        """Remember when and from where a token was used, to be written to the store later."""
        now = time.monotonic()
        if now - self._use_recorded.get(actor.token, -RECORD_USE_EVERY_S) >= RECORD_USE_EVERY_S:
            self._use_recorded[actor.token] = now
            self._uses[actor.token] = (now_ms(), address())

    def collect_uses(self) -> Sequence[tuple[int, int, str]]:
        """(token, at_ms, address) of the uses recorded since the last call."""
        uses, self._uses = self._uses, {}
        if len(self._use_recorded) > MAX_CACHED_TOKENS:
            self._use_recorded.clear()
        return [(token_id, at_ms, address) for token_id, (at_ms, address) in uses.items()]

    def apply(self, event: Event) -> AccountChange:
        """Drop the tokens that an account event makes stale, and return the change."""
        change = msgspec.json.decode(event.data, type=AccountChange)
        self._changes += 1
        for hashed in list(self._by_user.get(change.user, ())):
            self._drop(hashed)
        return change

    def clear(self) -> None:
        """Drop all tokens."""
        self._changes += 1
        self._actors.clear()
        self._by_user.clear()

    def _drop(self, hashed: str) -> None:
        actor = self._actors.pop(hashed)
        hashes = self._by_user[actor.user]
        hashes.discard(hashed)
        if not hashes:
            del self._by_user[actor.user]
