"""The tail: a thread that looks for what other processes committed, and reads it on from the hub's head.

Nothing has to tell it: SQLite's `PRAGMA data_version` costs 2 µs and moves when another connection committed. It holds no
transaction open. While there are commits it also copies the WAL back now and then, so that the committer seldom has to.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import peewee
import structlog

from gateway.hub import Hub
from models import event
from models.database import checkpoint, disconnect, rows

logger = structlog.get_logger()

LOOK_EVERY_S = 0.025
CHECKPOINT_EVERY_S = 2.0  # while there are commits
SLICE_EVENTS = 500
RETRY_AFTER_S = 1.0
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

    def _work(self) -> None:
        version, copied_at = -1, 0.0
        while not self._stopping:
            asked = self._asked.wait(LOOK_EVERY_S)
            self._asked.clear()
            try:
                now = int(rows("PRAGMA data_version")[0][0])
                if asked or now != version:
                    self._read_on()
                    if time.monotonic() - copied_at > CHECKPOINT_EVERY_S:
                        checkpoint()
                        copied_at = time.monotonic()
                version = now
            except peewee.DatabaseError as error:
                logger.error("the tail could not read", error=str(error))
                disconnect()
                version = -1
                self._asked.wait(RETRY_AFTER_S)
        disconnect()

    def _read_on(self) -> None:
        position = self._hub.head
        while found := event.read_after(position, SLICE_EVENTS):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._hub.publish, position, found, time.perf_counter())
            position = found[-1].id
            if len(found) < SLICE_EVENTS:
                break
