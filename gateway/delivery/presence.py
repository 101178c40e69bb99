"""Presence: which users have an open subscription here. It is reported to users of the same small conversations, and written only
when it changes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from gateway.commit.recorder import Recorder
from gateway.commit.threads import ThreadPool
from models.chat import presence, views
from models.store.errors import StoreDownError

AWAY_AFTER_S = 30.0  # a client that polls opens its next poll long before
RENEW_EVERY_S = 10.0
MAX_CHANGES_PER_TRANSACTION = 100  # on SQLite a send waits for the whole transaction
MAX_ANNOUNCED_PER_QUERY = 50
MAX_ANNOUNCED_PER_TICK = 20
ONLINE, OFFLINE = True, False


class Presence:
    """The users online on this gateway, under a lease. When the lease runs out, other gateways count them as offline.

    Three tasks work beside each other: one renews the lease, one writes the changes, a few in a transaction that renews it as well,
    and one announces them. So neither thousands of changes nor their announcements delay the lease. The rows are written beside the
    committer, with pauses: no send waits for thousands of people who come online at once.
    """

    def __init__(self, recorder: Recorder, read: ThreadPool, publish_ephemeral: Callable[..., None]) -> None:
        self.gateway = secrets.token_hex(8)
        self._recorder = recorder
        self._read = read
        self._publish_ephemeral = publish_ephemeral
        self._online: set[int] = set()
        self._away_since: dict[int, float] = {}
        self._changed: dict[int, bool] = {}  # user -> online; not written yet
        self._unannounced: dict[int, bool] = {}  # user -> online
        self._renewed = 0.0
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def connected(self, user: int) -> None:
        """Set a user online whose first subscription was opened."""
        self._away_since.pop(user, None)
        if user not in self._online:
            self._online.add(user)
            self._changed[user] = True
            self._start("write", self._write)

    def disconnected(self, user: int, silent_s: float) -> None:
        """Note when a user gave the last sign of life, whose last subscription was closed: `sweep` sets them offline later."""
        self._away_since[user] = time.monotonic() - silent_s

    def sweep(self) -> None:
        """Set users offline that have been away for AWAY_AFTER_S, and start what is due. Called once a second."""
        now = time.monotonic()
        for user in [user for user, since in self._away_since.items() if now - since > AWAY_AFTER_S]:
            del self._away_since[user]
            if user in self._online:
                self._online.discard(user)
                self._changed[user] = False
        if self._changed:
            self._start("write", self._write)  # which renews the lease, too
        elif self._online and now - self._renewed > RENEW_EVERY_S:
            self._start("renew", self._renew)
        if self._unannounced:
            self._start("announce", self._announce)

    def _start(self, name: str, work: Callable[[], Any]) -> None:
        """Start a task, unless it is running: it repeats until nothing is left."""
        if name not in self._tasks:
            task = self._tasks[name] = asyncio.ensure_future(work())
            task.add_done_callback(lambda _: self._tasks.pop(name))

    async def _renew(self) -> None:
        await self._record({})

    async def _write(self) -> None:
        """Write the changes so far. When the store is down, the next sweep tries again."""
        while self._changed:
            changes = dict(islice(self._changed.items(), MAX_CHANGES_PER_TRANSACTION))
            for user in changes:
                del self._changed[user]
            if not await self._record(changes):
                self._changed = changes | self._changed
                return

    async def _record(self, changes: dict[int, bool]) -> bool:
        """Renew the lease and write some changes in one transaction. Returns False when that failed."""
        came = [user for user, online in changes.items() if online]
        went = [user for user, online in changes.items() if not online]
        try:
            recorded = await self._recorder.call(partial(presence.write_changes, self.gateway, came, went))
        except StoreDownError:
            return False
        if recorded.lease_was_lost:  # another gateway removed it with the rows of everybody here
            self._changed = dict.fromkeys(self._online.difference(came), ONLINE) | self._changed
            self._start("write", self._write)
        self._renewed = time.monotonic()
        self._unannounced |= dict.fromkeys(recorded.offline, OFFLINE) | dict.fromkeys(recorded.online, ONLINE)
        if self._unannounced:
            self._start("announce", self._announce)
        return True

    async def _announce(self) -> None:
        """Announce the changes so far. When the store is down or busy, the next sweep tries again."""
        while self._unannounced:
            users = dict(islice(self._unannounced.items(), MAX_ANNOUNCED_PER_QUERY))
            for user in users:
                del self._unannounced[user]
            try:
                peers = await self._read(views.peers, list(users))
            except StoreDownError:
                self._unannounced = users | self._unannounced
                return
            for number, (user, online) in enumerate(users.items(), 1):
                if user in peers:
                    self._publish_ephemeral(peers[user], "", "presence", {"user": user, "online": online}, except_user=user)
                if number % MAX_ANNOUNCED_PER_TICK == 0:
                    await asyncio.sleep(0)

    async def announce_block(self, user: int, other: int, *, is_blocked: bool) -> None:
        """After a user blocked another one, or unblocked them, show these that the user went offline, or online: if the user is
        online, and nothing else hides it. When the store is down, they see it in their next initial state."""
        with suppress(StoreDownError):
            if await self._read(views.is_seen_online, user, other):
                self._publish_ephemeral([other], "", "presence", {"user": user, "online": not is_blocked}, except_user=user)

    async def close(self) -> None:
        """Renew the lease for the last time: a user who opens no poll elsewhere meanwhile is offline when it runs out."""
        if self._online:
            await self._record({})
