"""The tail: a thread that looks for what other processes committed, and reads it on from the hub's head.

On one SQLite file nothing has to tell it: `PRAGMA data_version` costs 2 µs and moves when another connection committed. On
PostgreSQL a hint makes it look (gateway/delivery/bus.py), and should that be lost, its own look twice a second. It holds no
transaction
open.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import peewee
import structlog

from gateway.delivery.hub import Hub
from metrics.declared import TAIL_LAG_SECONDS
from models.log import event
from models.store import facts
from models.store.clock import now_ms
from models.store.database import disconnect, engine

logger = structlog.get_logger()

TIDY_EVERY_S = 2.0  # while there are commits
SLICE_EVENTS = 500
RETRY_AFTER_S = 0.25
STOP_S = 1.0


class Tail:
    """Keeps the hub up to date with the log."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._asked = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="tail", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, within one look when the store answers."""
        self._stopping = True
        self._asked.set()
        self._thread.join(STOP_S)

    def look(self) -> None:
        """Look now."""
        self._asked.set()

    def look_here(self) -> None:
        """Looks on the thread that calls: a listener's, which need not wake another one first."""
        try:
            self._read_on()
        except peewee.PeeweeException:
            disconnect()
            self.look()  # which tells of it, and tries again

    def _work(self) -> None:
        version: int | None = -1
        tidied_at = 0.0
        while not self._stopping:
            asked = self._asked.wait(engine().tail_interval_s)
            self._asked.clear()
            try:
                now = engine().version()
                if asked or now is None or now != version:
                    self._read_on()
                    if time.monotonic() - tidied_at > TIDY_EVERY_S:
                        engine().run_maintenance()
                        tidied_at = time.monotonic()
                version = now
            except peewee.PeeweeException as error:
                logger.error("the tail could not read", error=str(error))
                disconnect()
                version = -1
                self._asked.wait(RETRY_AFTER_S)
        disconnect()

    def _read_on(self) -> None:
        position = self._hub.head
        while True:
            found = event.read_after(position, SLICE_EVENTS)
            if not found or found[-1].id - position > len(found):  # ids are missing, perhaps since they were trimmed
                mark = facts.trimmed()
                if mark > position:
                    self._call(self._hub.skip, mark)
                    position, found = mark, [each for each in found if each.id > mark]
            if found:
                TAIL_LAG_SECONDS.observe(max(0, now_ms() - found[0].at_ms) / 1000)  # the oldest; clocks of hosts may differ
                self._call(self._hub.publish, position, found, time.perf_counter())
                position = found[-1].id
            if len(found) < SLICE_EVENTS:
                return

    def _call(self, work: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(work, *args)
