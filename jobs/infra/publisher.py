"""Publish hints to an installation's gateways over Redis: the id of the newest event, never its content.

A hint may be lost, the log may not (gateway/delivery/tail.py checks it by itself), so nothing here retries or grows without bound.
Ephemeral events (typing, presence) have a channel of their own.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from jobs.infra.outage import Outage
from jobs.infra.redis_client import create_client, require_primary

REDIS_TIMEOUT_S = 1.0
CHECK_INTERVAL_S = 1.0  # between two checks that the server is a primary, to which the other gateways are connected
RETRY_S = 0.5
MAX_WAITING_EPHEMERAL = 1_000


def channels(epoch: str) -> tuple[str, str]:
    """Return the channels of hints and of ephemeral events. The store's epoch separates installations that share a Redis."""
    return f"bellwire:{epoch}:hints", f"bellwire:{epoch}:now"


class Publisher:
    """One thread that publishes. `down`: Redis does not answer at the moment."""

    def __init__(self, url: str, epoch: str) -> None:
        self.down = False
        self._client = create_client(url, REDIS_TIMEOUT_S)
        self._hint_channel, self._ephemeral_channel = channels(epoch)
        self._check_key = f"bellwire:{epoch}:check"
        self._checked_at = 0.0  # time.monotonic()
        self._newest = 0
        self._ephemeral: deque[bytes] = deque(maxlen=MAX_WAITING_EPHEMERAL)
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._outage = Outage("bus", "gateways check the log for events by themselves")
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what was not published by then is dropped."""
        self._stopping.set()
        self._work.set()

    def hint(self, newest: int) -> None:
        """Publish the id of an event that was committed; of several at once, the newest. For any thread; takes a microsecond."""
        if newest > self._newest:
            self._newest = newest
            self._work.set()

    def publish_ephemeral(self, encoded: bytes) -> None:
        """Publish an ephemeral event; the oldest is dropped when MAX_WAITING_EPHEMERAL wait. For any thread."""
        self._ephemeral.append(encoded)
        self._work.set()

    def _run(self) -> None:
        published = 0
        while not self._stopping.is_set():
            self._work.wait(CHECK_INTERVAL_S)
            self._work.clear()
            try:
                published = self._publish(published)
            except Exception as error:  # of any kind: the thread must live, and the next attempt may succeed
                self.down = True
                self._outage.record_failure(error)
                self._ephemeral.clear()  # out of date by the next attempt
                self._stopping.wait(RETRY_S)
            else:
                self.down = False
                self._outage.record_success()
        self._client.close()

    def _publish(self, published: int) -> int:
        """Publish what waits, and now and then check Redis; return the newest id that was published."""
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            require_primary(self._client, self._check_key)
            self._checked_at = time.monotonic()
        newest = self._newest
        if newest > published:
            self._client.publish(self._hint_channel, newest)
        while self._ephemeral:
            self._client.publish(self._ephemeral_channel, self._ephemeral.popleft())
        return newest
