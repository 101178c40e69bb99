"""Presence: which users have an open subscription here. It is reported to users of the same small conversations, and written only
when it changes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

from gateway.commit.committer import Committer
from gateway.commit.threads import ThreadPool
from models.chat import presence, views
from models.log.event import Transaction
from models.store.errors import StoreDownError

AWAY_AFTER_S = 30.0  # a client that polls opens its next poll long before
RENEW_EVERY_S = 10.0


class Presence:
    """The users online on this gateway, under a lease. When the lease runs out, other gateways count them as offline."""

    def __init__(self, committer: Committer, read: ThreadPool, publish_ephemeral: Callable[..., None]) -> None:
        self.gateway = secrets.token_hex(8)
        self._committer = committer
        self._read = read
        self._publish_ephemeral = publish_ephemeral
        self._online: set[int] = set()
        self._away_since: dict[int, float] = {}
        self._arrived: set[int] = set()  # not written yet
        self._departed: set[int] = set()  # not written yet
        self._writing = False
        self._renewed = 0.0

    def connected(self, user: int) -> None:
        """Set a user online whose first subscription was opened."""
        self._away_since.pop(user, None)
        if user not in self._online:
            self._online.add(user)
            self._arrived.add(user)
            self._departed.discard(user)
            self._start_writing()

    def disconnected(self, user: int) -> None:
        """Note when a user's last subscription was closed: `sweep` sets them offline later."""
        self._away_since[user] = time.monotonic()

    def sweep(self) -> None:
        """Set users offline that have been away for AWAY_AFTER_S, and renew the lease when it is due. Called once a second."""
        now = time.monotonic()
        away = [user for user, since in self._away_since.items() if now - since > AWAY_AFTER_S]
        for user in away:
            del self._away_since[user]
            self._online.discard(user)
            self._arrived.discard(user)
            self._departed.add(user)
        if away or self._arrived or self._departed or (self._online and now - self._renewed > RENEW_EVERY_S):
            self._start_writing()

    def _start_writing(self) -> None:
        """Start writing, unless a write is running: it repeats until all changes are written."""
        if not self._writing:
            self._writing = True
            self._task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        try:
            while await self._write_once() and (self._arrived or self._departed):
                pass
        finally:
            self._writing = False

    async def _write_once(self) -> bool:
        """Write and announce the changes so far. Returns False when the store is down: the next sweep tries again."""
        arrived, departed = sorted(self._arrived), sorted(self._departed)
        self._arrived, self._departed = set(), set()
        try:
            online, offline = await self._committer.call(None, lambda tx: self._change(tx, arrived, departed))
        except StoreDownError:
            self._arrived |= set(arrived)
            self._departed |= set(departed)
            return False
        self._renewed = time.monotonic()
        for user in online:
            await self._announce(user, online=True)
        for user in offline:
            await self._announce(user, online=False)
        return True

    def _change(self, tx: Transaction, arrived: list[int], departed: list[int]) -> tuple[list[int], list[int]]:
        """The users that are online now and those that are offline on all gateways, those of a dead gateway included."""
        left_behind = presence.renew_lease(tx, self.gateway)
        online, offline = presence.record_changes(tx, self.gateway, arrived, departed)
        return online, [*offline, *(user for user in left_behind if user not in online)]

    async def _announce(self, user: int, *, online: bool) -> None:
        try:
            peers = await self._read(views.peers, user)
        except StoreDownError:
            return  # an announcement may be lost: clients load presence with the state
        data: dict[str, Any] = {"user": user, "online": online}
        if peers:
            self._publish_ephemeral(peers, "", "presence", data, except_user=user)

    async def close(self) -> None:
        """Delete this gateway's users and lease from the store."""
        try:
            await self._committer.call(None, lambda tx: presence.remove_gateway(tx, self.gateway))
        except StoreDownError:
            return  # the lease runs out without it
