"""The host's tokens as credentials. One that verifies becomes a row of `tokens`, which is then found, cached, revoked and ended as
those that Bellwire makes: it is verified once for all gateways.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from conf import Settings
from gateway.commit.committer import Committer
from gateway.commit.threads import ThreadPool
from gateway.jwt.keys import Key
from gateway.jwt.source import KeySource
from gateway.jwt.verifier import Claims, RefusedTokenError, Rules, UnknownKeyError, has_form, verify
from models.accounts import host_tokens
from models.accounts.host_tokens import HostToken
from models.accounts.hosted import HostedUser
from models.store.clock import now_ms
from models.store.errors import DeadTokenError, RefusedError, StoreDownError

VERIFIER_THREADS = 1  # a flood of tokens must not starve sends: each costs 0.1 ms
MAX_VERIFICATIONS_WAITING = 500
MAX_REMEMBERED = 10_000  # tokens that were refused, and those that verified
REMEMBER_REFUSED_S = 60.0


class _Refusal(NamedTuple):
    """The refusal of a token: until when it is remembered, by time.monotonic(), why, and the keys by which it was verified."""

    until: float
    detail: str
    keys: tuple[Key, ...]


class HostTokens:
    """Accepts the host's tokens. All methods run on the loop's thread. BELLWIRE_JWT_ISSUER and BELLWIRE_JWT_KEYS are set."""

    def __init__(self, settings: Settings, read: ThreadPool, committer: Committer) -> None:
        self._settings = settings
        self._read = read
        self._committer = committer
        self._pool = ThreadPool("verifier", VERIFIER_THREADS, MAX_VERIFICATIONS_WAITING)
        self._rules = Rules.of(settings)
        self.source = KeySource(settings.jwt_keys or "", settings.jwt_algorithms, self._pool)
        self._accepting: dict[str, asyncio.Task[None]] = {}  # by the token's hash
        self._refused: dict[str, _Refusal] = {}
        self._verified: dict[str, Claims] = {}  # of those that verified and were refused all the same

    def may_accept(self, credential: str) -> bool:
        """Return whether a credential that is no row of `tokens` has the form of a host's token."""
        return has_form(credential)

    async def accept(self, credential: str, address: str) -> None:
        """Make a row of a token, and its account if it has none. Requests with the same token wait for one verification.

        Raises DeadTokenError, which names the claim that is wrong, SuspendedError or StoreDownError.
        """
        hashed = hashlib.sha256(credential.encode()).hexdigest()
        task = self._accepting.get(hashed)
        if task is None:
            task = self._accepting[hashed] = asyncio.ensure_future(self._accept(credential, hashed, address))
            task.add_done_callback(lambda _: self._accepting.pop(hashed, None))
        await asyncio.shield(task)

    async def _accept(self, credential: str, hashed: str, address: str) -> None:
        claims = self._verified.pop(hashed, None)
        if claims is None or claims.expires_ms <= now_ms():
            claims = await self._verify(credential, hashed, address)
        new = await self._pool(self._host_token, claims, hashed, address)
        creates = self._settings.jwt_create
        try:
            since = await self._read(host_tokens.unchanged_since, new, creates=creates)
            await self._committer.call(None, lambda tx: host_tokens.accept(tx, new, creates=creates, unchanged_since=since))
        except (RefusedError, StoreDownError):
            _remember(self._verified, hashed, claims)
            raise

    async def _verify(self, credential: str, hashed: str, address: str) -> Claims:
        """Return the claims of a token. It is verified again with new keys if none that is known fits."""
        keys, known = self.source.keys, self._refused.get(hashed)
        if known is not None and known.keys is keys and time.monotonic() < known.until:
            raise DeadTokenError(known.detail)
        try:
            try:
                return await self._on_thread(credential, address, keys)
            except UnknownKeyError:
                if not await self.source.read_others(keys):
                    raise
                keys = self.source.keys
                return await self._on_thread(credential, address, keys)
        except RefusedTokenError as refusal:
            _remember(self._refused, hashed, _Refusal(time.monotonic() + REMEMBER_REFUSED_S, refusal.detail, keys))
            raise

    async def _on_thread(self, credential: str, address: str, keys: Sequence[Key]) -> Claims:
        """Verify on the thread, after other tokens from the same address."""
        return await self._pool.of_account(hash(address), verify, credential, keys, self._rules, time.time())

    def _host_token(self, claims: Claims, hashed: str, address: str) -> HostToken:
        """Return what becomes a row, with the valid ones of the claims about the user."""
        said = claims.profile
        requested = HostedUser(
            claims.subject,
            username=said.get("preferred_username"),
            display_name=said.get("name"),
            role=said.get("bellwire_role") if self._settings.jwt_roles else None,
            locale=said.get("locale", "").replace("_", "-") or None,  # OpenID Connect Core, 5.1: some write en_US
            timezone=said.get("zoneinfo"),
        )
        if "email" in said:
            requested.email = said["email"]
        user = host_tokens.prepared(requested)
        return HostToken(hashed, user, claims.issued_ms, claims.expires_ms, self._rules.issuer, address)

    def close(self) -> None:
        """Let the thread end."""
        self._pool.close()


def _remember(remembered: dict[str, Any], hashed: str, value: Any) -> None:
    """Add an entry, and drop the oldest one if there are too many."""
    if len(remembered) >= MAX_REMEMBERED:
        del remembered[next(iter(remembered))]
    remembered[hashed] = value
