"""Telling the gateways of an installation, over Redis, that there is something to read: the newest event's id, never its content.

A hint may be lost, the log may not (gateway/delivery/tail.py looks by itself), so nothing here waits, retries or fills up.
What is true
now and soon is not (typing, presence) has a channel of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque

import redis

from jobs.infra.outage import Outage
from jobs.infra.redis_client import create_client

TIMEOUT_S = 1.0
BEAT_S = 1.0  # how often it is tried whether the bus works, when there is nothing to tell
AGAIN_S = 0.5  # after a failure
MAX_WAITING_EPHEMERAL = 1_000


def channels(epoch: str) -> tuple[str, str]:
    """The channels of hints and of what is ephemeral. A store's epoch keeps installations on one Redis apart."""
    return f"bellwire:{epoch}:hints", f"bellwire:{epoch}:now"


class Publisher:
    """One thread that tells. `down`: it can't at the moment."""

    def __init__(self, url: str, epoch: str) -> None:
        self.down = False
        self._client = create_client(url, TIMEOUT_S)
        self._hint_channel, self._ephemeral_channel = channels(epoch)
        self._newest = 0
        self._ephemeral: deque[bytes] = deque(maxlen=MAX_WAITING_EPHEMERAL)
        self._asleep = threading.Lock()  # held while there is nothing to tell; releasing it is the cheapest way to wake a thread
        self._asleep.acquire()
        self._stopping = threading.Event()
        self._outage = Outage("the bus", "gateways find events by looking at the log themselves")
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what was not told yet is not told any more."""
        self._stopping.set()
        self._wake()

    def hint(self, newest: int) -> None:
        """An event was committed. For any thread: a microsecond. Of several at once the newest is told."""
        if newest > self._newest:
            self._newest = newest
            self._wake()

    def publish_ephemeral(self, said: bytes) -> None:
        """Tells what is ephemeral; the oldest is dropped when too much waits."""
        self._ephemeral.append(said)
        self._wake()

    def _wake(self) -> None:
        if self._asleep.locked():
            with contextlib.suppress(RuntimeError):  # somebody else has just released it
                self._asleep.release()

    def _run(self) -> None:
        told = 0
        while not self._stopping.is_set():
            self._asleep.acquire(timeout=BEAT_S)
            try:
                newest = self._newest
                if newest > told:
                    self._client.publish(self._hint_channel, newest)
                    told = newest
                elif not self._ephemeral:
                    self._client.ping()
                while self._ephemeral:
                    self._client.publish(self._ephemeral_channel, self._ephemeral.popleft())
            except (redis.RedisError, OSError) as error:
                self.down = True
                self._outage.record_failure(error)
                self._ephemeral.clear()  # by then it is not true any more
                self._stopping.wait(AGAIN_S)
            else:
                self.down = False
                self._outage.record_success()
        self._client.close()
