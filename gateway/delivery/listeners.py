"""The listeners of the bus: threads that receive what other processes send. Each time that one is connected it makes the tail read
the log, so no event is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import structlog

from jobs.infra import channel
from jobs.infra.channel import ChannelConnection, Frame, FrameError
from jobs.infra.outage import Outage
from metrics.declared import CHANNEL_LOST_TOTAL, begin_at_0
from models.store.database import disconnect, engine

logger = structlog.get_logger()

RECONNECT_S = 0.5
RECEIVE_TIMEOUT_S = 0.5  # how long a listener waits for a message before it checks whether to stop
MAX_SILENCE_S = 2.0  # of a server that does not even answer a ping
CHECK_INTERVAL_S = 1.0  # between two checks that the connection is still to the server that the others use
begin_at_0(CHANNEL_LOST_TOTAL, ("sent", "received"))


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


class ChannelListener(BusListener):
    """Receives hints and messages of other kinds from the other processes of this `serve`, and sends them.

    `handlers` are called with the sender's number and the content of a message of their kind, and `gap_handlers` after messages may
    have been missed: all on this thread. It reads on when the `loop`, if there is one, has done what they passed to it: while that
    hangs, messages are dropped by the channel and do not fill the memory.
    """

    def __init__(self, path: str, check_log: Callable[[], None], known_head: Callable[[], int]) -> None:
        super().__init__(check_log, known_head)
        self.handlers: dict[bytes, Callable[[int, bytes], None]] = {}
        self.gap_handlers: list[Callable[[], None]] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._path = path
        self._connection: ChannelConnection | None = None

    def send(self, kind: bytes, content: bytes, peer: int = channel.TO_ALL) -> bool:
        """Send a message, of a kind of one byte, without waiting. Return whether it is on its way. For any thread."""
        connection = self._connection
        if connection is None:
            return False
        with contextlib.suppress(OSError, FrameError):  # it was cut off, which the thread notices; the message is too long
            if connection.send(peer, kind + content):
                return True
        CHANNEL_LOST_TOTAL.labels("sent").inc()
        return False

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was sent is on its way, at most so long. Return whether it is."""
        connection = self._connection
        with contextlib.suppress(OSError):  # it was cut off
            return connection is not None and connection.flush(timeout_s)
        return False

    def _listen(self) -> None:
        with contextlib.closing(ChannelConnection(self._path)) as connection:
            connection.send(channel.JOIN, b"")
            self._connection = connection
            try:
                self._catch_up()
                while not self._stopping.is_set():
                    if frames := connection.receive(RECEIVE_TIMEOUT_S):
                        self._receive(frames)
                        self._wait_for_loop()
            finally:
                self._connection = None

    def _wait_for_loop(self) -> None:
        if self.loop is not None:
            done = threading.Event()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(done.set)
                while not done.wait(RECEIVE_TIMEOUT_S) and not self._stopping.is_set():
                    pass

    def _catch_up(self) -> None:
        self._connected()
        for handler in self.gap_handlers:
            handler()

    def _receive(self, frames: Sequence[Frame]) -> None:
        newest = 0
        for sender, body in frames:
            kind, content = body[:1], body[1:]
            if sender == channel.LOST:
                CHANNEL_LOST_TOTAL.labels("received").inc(int(body))
                self._catch_up()
            elif kind == channel.HINT:
                newest = max(newest, int(content) if content.isdigit() else 0)
            elif kind in self.handlers:
                try:
                    self.handlers[kind](sender, content)
                except Exception:  # a defect with one message: those after it must arrive
                    logger.exception("channel_message_failed", kind=kind.decode(errors="replace"))
        if newest:  # of all hints that came together
            self._receive_hint(newest)
