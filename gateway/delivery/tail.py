"""The tail: a thread that finds events which other processes committed, and reads the log on from the hub's head.

A hint wakes it (gateway/delivery/bus.py). Should one be lost, or nothing send any, it checks by itself: twice a second, or more
often on SQLite, where `PRAGMA data_version` costs 2 µs and changes when another connection committed. It keeps no transaction open.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from gateway.delivery.hub import Hub
from jobs.infra.outage import Outage
from metrics.declared import TAIL_LAG_SECONDS
from models.log import event
from models.log.event import Event
from models.store import facts
from models.store.clock import now_ms
from models.store.database import disconnect, engine

QUIET_AFTER_S = 1.0  # since the newest event
QUIET_INTERVAL_S = 0.1  # 40 checks a second were two thirds of the CPU time of a gateway that nobody uses
MAINTENANCE_EVERY_S = 2.0  # while there are commits
MAX_EVENTS_PER_READ = 500
RETRY_AFTER_S = 0.25
STOP_TIMEOUT_S = 1.0


class Tail:
    """Keeps the hub up to date with the log."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._requested = threading.Event()
        self._stopping = False
        self._newest, self._newest_at = -1, 0.0  # the hub's head, and since when it is the same
        self._outage = Outage("tail", "events of other processes arrive later")
        self._maintenance = Outage("maintenance", "the write-ahead log grows")
        self._thread = threading.Thread(target=self._work, name="tail", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the read that it may be in."""
        self._stopping = True
        self._requested.set()
        self._thread.join(STOP_TIMEOUT_S)

    @property
    def failing(self) -> bool:
        """Whether the log can't be read at the moment."""
        return self._outage.ongoing or not self._thread.is_alive()

    def check(self) -> None:
        """Make the tail's thread read the log now."""
        self._requested.set()

    def check_on_this_thread(self) -> None:
        """Read the log on the calling thread: a bus listener need not wake another thread first.

        Not on SQLite, where the tail's own connection would not know it, and the tail would read once more.
        """
        try:
            self._read_on()
        except Exception:
            disconnect()
            self.check()  # logs the failure, and tries again

    def _work(self) -> None:
        version: int | None = -1
        maintained_at = 0.0
        while not self._stopping:
            requested = self._requested.wait(self._interval_s())
            self._requested.clear()
            try:
                now = engine().version()
                if requested or now is None or now != version:
                    self._read_on()
                    if time.monotonic() - maintained_at > MAINTENANCE_EVERY_S:
                        maintained_at = time.monotonic()
                        self._maintenance.run_each(engine().run_maintenance)  # it writes: a full disk stops it, and no read
                version = -1 if self._maintenance.ongoing else now  # which another connection counts differently
                self._outage.record_success()
            except Exception as error:  # of any kind: the thread must live, and the next read may succeed
                self._outage.record_failure(error)
                disconnect()
                version = -1
                self._requested.wait(RETRY_AFTER_S)
        disconnect()

    def _interval_s(self) -> float:
        """Return the seconds until the next check: more when there was no event for a while."""
        now, head, usual = time.monotonic(), self._hub.head, engine().tail_interval_s
        if head != self._newest:
            self._newest, self._newest_at = head, now
        return usual if now - self._newest_at < QUIET_AFTER_S else max(usual, QUIET_INTERVAL_S)

    def _read_on(self) -> None:
        position, more = self._hub.head, True
        while more:
            events = event.read_after(position, MAX_EVENTS_PER_READ)
            more = len(events) == MAX_EVENTS_PER_READ
            position, events = self._past_trimmed(position, events)
            if events:
                TAIL_LAG_SECONDS.observe(max(0, now_ms() - events[0].at_ms) / 1000)  # the oldest; clocks of hosts may differ
                self._call(self._hub.publish, position, events, time.perf_counter())
                position = events[-1].id

    def _past_trimmed(self, position: int, events: list[Event]) -> tuple[int, list[Event]]:
        """If ids are missing because the log was trimmed, move the hub to the low-water mark and keep the events after it."""
        if events and events[-1].id - position == len(events):
            return position, events
        mark = facts.trimmed()
        if mark <= position:
            return position, events
        self._call(self._hub.skip_to, mark)
        return mark, [e for e in events if e.id > mark]

    def _call(self, work: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(work, *args)
