"""The bus between gateways: hints that there is something to read, and ephemeral events (typing, presence).

It uses Redis' pub/sub, or PostgreSQL's NOTIFY where there is no Redis; then ephemeral events stay within a gateway. A listener
that was cut off makes the tail read the log once when it is connected again, so no event is missed.
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

RECONNECT_S = 0.5
RECEIVE_TIMEOUT_S = 0.5  # how long a listener waits for a message before it checks whether to stop
MAX_SILENCE_S = 2.0  # of a server that does not even answer a ping
CHECK_INTERVAL_S = 1.0  # between two checks that the connection is still to the server that the others use


class EphemeralMessage(msgspec.Struct):
    """An ephemeral event on its way to the other gateways.

    It is for `users`, or (None) for the followers of `stream`, except one user. `event` is EVENT as JSON. The JSON field names are
    what gateways of earlier versions read and write.
    """

    gateway: str = msgspec.field(name="by")
    users: list[int] | None
    stream: str
    except_user: int = msgspec.field(name="but")
    event_type: str = msgspec.field(name="kind")
    event: msgspec.Raw


class BusListener(ABC):
    """A thread that receives hints. `down`: it is not connected at the moment.

    `check_log` reads the log on; `known_head` returns the newest event id that this gateway has or will have without that.
    """

    def __init__(self, check_log: Callable[[], None], known_head: Callable[[], int]) -> None:
        self.down = False
        self._check_log = check_log
        self._known_head = known_head
        self._stopping = threading.Event()
        self._outage = Outage("bus_listener", "this gateway checks the log for events by itself")
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make the thread end within RECEIVE_TIMEOUT_S."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as error:  # of any kind: the thread must live, and the next attempt may succeed
                self.down = True
                self._outage.record_failure(error)
                self._stopping.wait(RECONNECT_S)
        disconnect()

    def _connected(self) -> None:
        """Read the log: hints that were sent before the connection were missed."""
        self.down = False
        self._outage.record_success()
        self._check_log()

    def _receive_hint(self, newest: int) -> None:
        if newest > self._known_head():  # else this gateway committed it itself
            self._check_log()

    @abstractmethod
    def _listen(self) -> None:
        """Receive until the listener is stopped. Raises any error that ends the connection."""


class RedisListener(BusListener):
    """Receives hints and ephemeral events."""

    def __init__(
        self,
        url: str,
        epoch: str,
        check_log: Callable[[], None],
        known_head: Callable[[], int],
        receive_ephemeral: Callable[[bytes], None],
    ) -> None:
        super().__init__(check_log, known_head)
        from jobs.infra.publisher import channels
        from jobs.infra.redis_client import create_client

        self._receive_ephemeral = receive_ephemeral
        self._client = create_client(url, RECEIVE_TIMEOUT_S * 2)
        self._hint_channel, self._ephemeral_channel = channels(epoch)
        self._own_channel = f"bellwire:{epoch}:listener:{secrets.token_hex(4)}"

    def _listen(self) -> None:
        with contextlib.closing(self._client.pubsub()) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(self._hint_channel, self._ephemeral_channel, self._own_channel)
            last = checked_at = time.monotonic()
            while not self._stopping.is_set():
                if time.monotonic() - checked_at >= CHECK_INTERVAL_S:
                    self._check_server()
                    checked_at = time.monotonic()
                message = pubsub.get_message(timeout=RECEIVE_TIMEOUT_S)
                if message is None:
                    if time.monotonic() - last > MAX_SILENCE_S:
                        raise TimeoutError("no answer to a ping")
                    pubsub.ping()
                    continue
                last = time.monotonic()
                if message["type"] == "subscribe":
                    self._connected()
                elif message["type"] == "message":
                    self._receive(message["channel"].decode(), message["data"])

    def _check_server(self) -> None:
        """Raise redis.RedisError unless the subscription is on the server that publishers are connected to now."""
        from redis import ConnectionError as LostError

        from jobs.infra.redis_client import require_primary

        require_primary(self._client, self._own_channel)
        if not self._client.publish(self._own_channel, b""):
            raise LostError("the subscription is on another server")

    def _receive(self, channel: str, data: bytes) -> None:
        if channel == self._ephemeral_channel:
            self._receive_ephemeral(data)
        elif data.isdigit():
            self._receive_hint(int(data))


class NotifyListener(BusListener):
    """Receives hints only."""

    def _listen(self) -> None:
        from models.store.postgres import CHANNEL, PostgreSQL

        store = engine()
        assert isinstance(store, PostgreSQL)
        with contextlib.closing(store.open()) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._connected()
            checked_at = time.monotonic()
            while not self._stopping.is_set():
                if time.monotonic() - checked_at >= CHECK_INTERVAL_S:
                    connection.check()
                    checked_at = time.monotonic()
                for notification in connection.notifies(timeout=RECEIVE_TIMEOUT_S, stop_after=1):
                    self._receive_hint(int(notification.payload))


class Bus:
    """This gateway's connection to the other gateways."""

    def __init__(self, settings: Settings, hub: Hub, check_log: Callable[[], None], known_head: Callable[[], int]) -> None:
        """`check_log` and `known_head` are those of BusListener."""
        self._hub = hub
        self._gateway = secrets.token_hex(4)
        self._loop = asyncio.get_running_loop()
        self._publisher: Any = None
        self._listener: BusListener | None = None
        if settings.redis_url is not None:
            from jobs.infra.publisher import Publisher

            self._publisher = Publisher(settings.redis_url, hub.epoch)
            self._listener = RedisListener(settings.redis_url, hub.epoch, check_log, known_head, self._receive_ephemeral)
        elif settings.database_url is not None:
            self._listener = NotifyListener(check_log, known_head)

    @property
    def down(self) -> bool:
        """Whether hints may be lost at the moment."""
        return any(part is not None and part.down for part in (self._publisher, self._listener))

    def hint(self, newest: int) -> None:
        """Announce the id of an event that was committed here. Without Redis nothing is sent: NOTIFY is part of the commit."""
        if self._publisher is not None:
            self._publisher.hint(newest)

    def publish_ephemeral(
        self, users: Collection[int] | None, stream: str, event_type: str, encoded: bytes, except_user: int
    ) -> None:
        """Send an ephemeral event to the other gateways, over Redis only."""
        if self._publisher is not None:
            recipients = None if users is None else list(users)
            message = EphemeralMessage(self._gateway, recipients, stream, except_user, event_type, msgspec.Raw(encoded))
            self._publisher.publish_ephemeral(msgspec.json.encode(message))

    def _receive_ephemeral(self, data: bytes) -> None:
        """Pass an ephemeral event of another gateway to the hub. Called on the listener's thread."""
        try:
            message = msgspec.json.decode(data, type=EphemeralMessage)
        except msgspec.MsgspecError:  # of another version
            return
        if message.gateway != self._gateway:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(
                    self._hub.deliver_ephemeral,
                    message.users,
                    message.stream,
                    message.event_type,
                    bytes(message.event),
                    message.except_user,
                )

    def start(self) -> None:
        """Start the threads."""
        for part in (self._publisher, self._listener):
            if part is not None:
                part.start()

    def stop(self) -> None:
        """Make the threads end soon."""
        for part in (self._publisher, self._listener):
            if part is not None:
                part.stop()
