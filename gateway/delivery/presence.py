"""Presence: who has an open poll here, told to those who share a small conversation, and written down only when it changes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

from gateway.commit.committer import Committer
from gateway.commit.threads import Pool
from models.chat import presence, views
from models.log.event import Transaction
from models.store.errors import StoreDownError

AWAY_AFTER_S = 30.0  # clients poll again within this
RENEW_EVERY_S = 10.0
SWEEP_EVERY_S = 1.0


class Presence:
    """Users online on this gateway, under a lease that others can see run out."""

    def __init__(self, committer: Committer, read: Pool, tell: Callable[..., None]) -> None:
        self.gateway = secrets.token_hex(8)
        self._committer = committer
        self._read = read
        self._tell = tell
        self._online: set[int] = set()
        self._away_since: dict[int, float] = {}
        self._came: set[int] = set()
        self._went: set[int] = set()
        self._writing = False
        self._renewed = 0.0

    def watching(self, user: int, watches: bool) -> None:
        """A user's first poll was opened, or the last one ended."""
        if not watches:
            self._away_since[user] = time.monotonic()
            return
        self._away_since.pop(user, None)
        if user not in self._online:
            self._online.add(user)
            self._came.add(user)
            self._went.discard(user)
            self._write()

    def sweep(self) -> None:
        """Once a second: who stayed away is offline, and the lease is renewed."""
        now = time.monotonic()
        gone = [user for user, since in self._away_since.items() if now - since > AWAY_AFTER_S]
        for user in gone:
            del self._away_since[user]
            self._online.discard(user)
            self._came.discard(user)
            self._went.add(user)
        if gone or self._came or self._went or (self._online and now - self._renewed > RENEW_EVERY_S):
            self._write()

    def _write(self) -> None:
        """One write at a time; who comes meanwhile goes with the next."""
        if not self._writing:
            self._writing = True
            self._task = asyncio.ensure_future(self._write_changes())

    async def _write_changes(self) -> None:
        try:
            while True:
                came, went = sorted(self._came), sorted(self._went)
                self._came, self._went = set(), set()
                try:
                    changed = self._committer.call(None, lambda tx, c=came, w=went: self._changed(tx, c, w))  # type: ignore[misc]
                    online, offline = await changed
                except StoreDownError:
                    self._came |= set(came)  # the next sweep tries again
                    self._went |= set(went)
                    return
                self._renewed = time.monotonic()
                for user in online:
                    await self._announce(user, True)
                for user in offline:
                    await self._announce(user, False)
                if not (self._came or self._went):
                    return
        finally:
            self._writing = False

    def _changed(self, tx: Transaction, came: list[int], went: list[int]) -> tuple[list[int], list[int]]:
        """Who is online now and who is offline, on all gateways together; also those whom a dead gateway leaves behind."""
        left = presence.renew_lease(tx, self.gateway)
        online, offline = presence.record_changes(tx, self.gateway, came, went)
        return online, [*offline, *(user for user in left if user not in online)]

    async def _announce(self, user: int, online: bool) -> None:
        try:
            peers = await self._read(views.peers, user)
        except StoreDownError:
            return  # presence may be lost; nobody waits for it
        data: dict[str, Any] = {"user": user, "online": online}
        if peers:
            self._tell(peers, "", "presence", data, user)

    async def close(self) -> None:
        """Takes this gateway's users and lease out of the store."""
        try:
            await self._committer.call(None, lambda tx: presence.remove_gateway(tx, self.gateway))
        except StoreDownError:
            return  # the lease runs out by itself
