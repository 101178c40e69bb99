"""Hearing what other processes tell: that there is something to read, and what people do just now.

Over Redis' pub/sub, or PostgreSQL's NOTIFY where there is no Redis (then what is ephemeral stays within a gateway). A listener that
was cut off looks at the log once when it is back: whatever was told meanwhile is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from conf import Settings
from gateway.delivery.hub import Hub
from jobs.infra.outage import Outage
from models.store.database import disconnect, engine

AGAIN_S = 0.5
WAIT_S = 0.5  # for something to be said, before looking whether to end
SILENCE_S = 2.0  # of a server that does not even answer a ping


class Said(msgspec.Struct):
    """What one gateway tells the others. `users` or `stream` say who is to hear it, `but` who is not; `event` is EVENT as JSON."""

    by: str
    users: list[int] | None
    stream: str
    but: int
    kind: str
    event: msgspec.Raw


class Listener(ABC):
    """One thread that hears. `down`: it can't at the moment."""

    def __init__(self, look: Callable[[], None], known: Callable[[], int]) -> None:
        self.down = False
        self._look = look
        self._known = known
        self._stopping = threading.Event()
        self._outage = Outage("listening to other gateways", "events are found by looking at the log")
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it, soon."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as error:  # whatever it is, the next attempt may do better
                self.down = True
                self._outage.record_failure(error)
                self._stopping.wait(AGAIN_S)
        disconnect()

    def _works(self) -> None:
        """It has just begun to hear: what was told before was not heard."""
        self.down = False
        self._outage.record_success()
        self._look()

    def _hint(self, newest: int) -> None:
        """An event was committed somewhere; what this gateway committed itself it knows."""
        if newest > self._known():
            self._look()

    @abstractmethod
    def _listen(self) -> None:
        """Hears until it is to stop. Raises whatever ends it sooner."""


class RedisListener(Listener):
    """Hears hints and what is ephemeral."""

    def __init__(
        self, url: str, epoch: str, look: Callable[[], None], known: Callable[[], int], whispered: Callable[[bytes], None]
    ) -> None:
        super().__init__(look, known)
        from jobs.infra.publisher import channels
        from jobs.infra.redis_client import create_client

        self._whispered = whispered
        self._client = create_client(url, WAIT_S * 2)
        self._hints, self._now = channels(epoch)

    def _listen(self) -> None:
        with contextlib.closing(self._client.pubsub()) as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(self._hints, self._now)
            last = time.monotonic()
            while not self._stopping.is_set():
                said = channel.get_message(timeout=WAIT_S)
                if said is None:
                    if time.monotonic() - last > SILENCE_S:
                        raise TimeoutError("no answer to a ping")
                    channel.ping()
                    continue
                last = time.monotonic()
                if said["type"] == "subscribe":
                    self._works()
                elif said["type"] == "message":
                    self._take(said["channel"].decode(), said["data"])

    def _take(self, channel: str, data: bytes) -> None:
        if channel == self._now:
            self._whispered(data)
        elif data.isdigit():
            self._hint(int(data))


class NotifyListener(Listener):
    """Hears hints alone."""

    def _listen(self) -> None:
        from models.store.postgres import CHANNEL, PostgreSQL

        store = engine()
        assert isinstance(store, PostgreSQL)
        with contextlib.closing(store.open()) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._works()
            while not self._stopping.is_set():
                for told in connection.notifies(timeout=WAIT_S, stop_after=1):
                    self._hint(int(told.payload))


class Bus:
    """What a gateway hears from the others and tells them."""

    def __init__(self, settings: Settings, hub: Hub, look: Callable[[], None], known: Callable[[], int]) -> None:
        """`look` reads the log on; `known` tells the newest event that this gateway has or will have without that."""
        self._hub = hub
        self._me = secrets.token_hex(4)
        self._loop = asyncio.get_running_loop()
        self._publisher: Any = None
        self._listener: Listener | None = None
        if settings.redis_url is not None:
            from jobs.infra.publisher import Publisher

            self._publisher = Publisher(settings.redis_url, hub.epoch)
            self._listener = RedisListener(settings.redis_url, hub.epoch, look, known, self._whispered)
        elif settings.database_url is not None:
            self._listener = NotifyListener(look, known)

    @property
    def down(self) -> bool:
        """Whether hints may be lost at the moment."""
        return any(part is not None and part.down for part in (self._publisher, self._listener))

    def hint(self, newest: int) -> None:
        """An event was committed here. Without Redis, who must hear of it hears of it otherwise."""
        if self._publisher is not None:
            self._publisher.hint(newest)

    def whisper(self, users: Collection[int] | None, stream: str, kind: str, event: bytes, but: int) -> None:
        """Tells the other gateways what is ephemeral; without Redis they do not hear of it."""
        if self._publisher is not None:
            chosen = None if users is None else list(users)
            self._publisher.publish_ephemeral(msgspec.json.encode(Said(self._me, chosen, stream, but, kind, msgspec.Raw(event))))

    def _whispered(self, data: bytes) -> None:
        """On the listener's thread."""
        try:
            said = msgspec.json.decode(data, type=Said)
        except msgspec.MsgspecError:  # of another version
            return
        if said.by != self._me:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._hub.hear, said.users, said.stream, said.kind, bytes(said.event), said.but)

    def start(self) -> None:
        """Starts the threads."""
        for part in (self._publisher, self._listener):
            if part is not None:
                part.start()

    def stop(self) -> None:
        """Ends them, soon."""
        for part in (self._publisher, self._listener):
            if part is not None:
                part.stop()
