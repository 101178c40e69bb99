"""Connections to clients: what is kept in memory until a client has received it, and for how long.

Every transport writes through here: answers, event streams and WebSockets. One check a second covers all connections, because a
timer for each write costs a tenth of a send.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tornado import httputil, web
from tornado.http1connection import HTTP1Connection
from tornado.websocket import WebSocketHandler

SEND_TIMEOUT_S = 30.0  # a client that receives nothing for so long is disconnected
MIN_BYTES_PER_S = 1024  # and one that receives less than this
MAX_UNSENT_BYTES = 24 * 1024 * 1024  # of all connections; answers end at about 1 MiB, see gateway/delivery/subscriptions.py
MAX_UNSENT_BYTES_PER_CALLER = 4 * 1024 * 1024
UNSENT_BYTES_IN_KERNEL = 128 * 1024  # of one connection; the default grows to 4 MiB
FILE_BYTES_IN_KERNEL = 512 * 1024  # of a connection on which a file is sent: each half of it wakes the loop and a thread
PEER_TIMEOUT_S = 30  # without an acknowledgement from the client's host (RFC 5482)
HOST_GONE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)  # of a connection, after PEER_TIMEOUT_S (tcp(7))
PROBE_AFTER_S, PROBE_EVERY_S = 15, 5  # of a connection on which nothing is sent

Caller = int | str  # a user id, or the address of an anonymous client


TCP_OPTIONS = {  # Linux has all of them; other systems keep their defaults
    "TCP_NOTSENT_LOWAT": UNSENT_BYTES_IN_KERNEL,
    "TCP_USER_TIMEOUT": PEER_TIMEOUT_S * 1000,
    "TCP_KEEPIDLE": PROBE_AFTER_S,
    "TCP_KEEPINTVL": PROBE_EVERY_S,
}
SOCKET_OPTIONS = (  # (level, option, value)
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in TCP_OPTIONS.items() if hasattr(socket, name)),
)


class ClientConnection:
    """A connection to a client. `unsent` bytes of its answers are in memory: whole writes count until their last byte is sent."""

    __slots__ = ("_answers", "caller", "deadline", "lingers", "on_too_slow", "sent_at_check", "sent_from_file", "unsent")

    def __init__(self, unsent: UnsentAnswers, caller: Caller) -> None:
        self.caller = caller  # of the latest request
        self.unsent = 0
        self.sent_from_file = 0
        self.sent_at_check = 0
        self.deadline = 0.0
        self.on_too_slow: Callable[[], None] | None = None  # instead of close
        self.lingers = False  # whether the client still sends while it is answered
        self._answers = unsent

    @property
    def sent(self) -> int:
        """The number of bytes that the operating system has accepted."""
        raise NotImplementedError

    @property
    def silent_s(self) -> float:
        """How long the client's host had acknowledged nothing when the system closed the connection for that; 0 otherwise."""
        raise NotImplementedError

    def closed(self) -> bool:
        """Whether the connection has ended."""
        raise NotImplementedError

    def client_socket(self) -> socket.socket:
        """The socket, of a connection that has not ended. It stays the connection's."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connection, without what it has not sent."""
        raise NotImplementedError

    def set_caller(self, caller: Caller) -> None:
        """Count the following answers for a caller: a proxy's connection serves many."""
        if self not in self._answers:
            self.caller = caller

    @contextlib.contextmanager
    def sending_file(self) -> Iterator[None]:
        """While the system sends a file's bytes to the client, which `sent_from_file` counts and this connection does not see, the
        client has the same deadlines."""
        self._set_option(socket.TCP_NODELAY, 1)
        self._bound_kernel(FILE_BYTES_IN_KERNEL)
        self._answers.add(self, 0)
        try:
            yield
        finally:
            self._answers.remove(self)
            self._bound_kernel(UNSENT_BYTES_IN_KERNEL)

    def _bound_kernel(self, length: int) -> None:
        """Let the system accept no more than this before it has sent it."""
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self._set_option(socket.TCP_NOTSENT_LOWAT, length)

    def _set_option(self, option: int, value: int) -> None:
        with contextlib.suppress(OSError, AttributeError):  # the connection is closed
            self.client_socket().setsockopt(socket.IPPROTO_TCP, option, value)


class AnswerConnection(httputil.HTTPConnection):
    """Tornado's interface of a connection, and a whole answer in one write."""

    def answer(self, head: bytes, body: bytes) -> Awaitable[None]:
        """Write a whole answer and end the request. `head` has the status line and the headers, with Content-Length and CRLFs.

        Done when the operating system has accepted all of it; with StreamClosedError if the client disconnects before.
        """
        raise NotImplementedError

    def add_sent(self, length: int) -> None:
        """Count bytes of the answer's body that were sent past this object."""
        raise NotImplementedError


def accepted(listening: socket.socket, limit: int) -> Iterator[tuple[socket.socket, Any]]:
    """Accept at most so many of the connections that wait; yields each with its address. Raises OSError when the process or the
    system has no room for more."""
    for _ in range(limit):
        try:
            connection, address = listening.accept()
        except BlockingIOError:
            return
        except ConnectionAbortedError:  # the client has disconnected already
            continue
        with contextlib.suppress(OSError):  # so it has here, which the first read notices
            for option in SOCKET_OPTIONS:
                connection.setsockopt(*option)
        yield connection, address


def silence_of(error: BaseException | None) -> float:
    """The seconds for which a client's host had acknowledged nothing when its connection ended with this error."""
    return PEER_TIMEOUT_S if isinstance(error, OSError) and error.errno in HOST_GONE else 0.0


class UnsentAnswers:
    """The connections whose clients have not received everything yet: their number of bytes and their deadlines.

    A deadline moves by a second for each MIN_BYTES_PER_S that its client receives, and is never further away than `timeout_s`.
    """

    def __init__(
        self,
        timeout_s: float = SEND_TIMEOUT_S,
        max_bytes: int = MAX_UNSENT_BYTES,
        max_bytes_per_caller: int = MAX_UNSENT_BYTES_PER_CALLER,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes = 0
        self._now = now
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._max_bytes_per_caller = max_bytes_per_caller
        self._by_caller: dict[Caller, int] = {}
        self._streams: dict[ClientConnection, None] = {}  # the one that waits longest comes first

    def __contains__(self, stream: ClientConnection) -> bool:
        """Whether the client has still to receive something."""
        return stream in self._streams

    def add(self, stream: ClientConnection, size: int) -> None:
        """Count a write. Beyond a bound, close the oldest connection of the caller with the most bytes."""
        if stream not in self._streams:
            self._streams[stream] = None
            stream.sent_at_check = stream.sent
            stream.deadline = self._now() + self._timeout_s
        stream.unsent += size
        self.bytes += size
        self._by_caller[stream.caller] = self._by_caller.get(stream.caller, 0) + size
        if self._by_caller[stream.caller] > self._max_bytes_per_caller:
            self._close_oldest(stream.caller, but=stream)
        while self.bytes > self._max_bytes:
            self._close_oldest(max(self._by_caller, key=self._by_caller.__getitem__))

    def remove(self, stream: ClientConnection) -> None:
        """Stop counting a connection that has sent everything, or is closed."""
        if stream in self._streams:
            del self._streams[stream]
            self.bytes -= stream.unsent
            left = self._by_caller.pop(stream.caller, 0) - stream.unsent
            if left:
                self._by_caller[stream.caller] = left
        stream.unsent = 0

    def close_slow(self) -> None:
        """Disconnect the clients that have received too little since the last call. Called once a second."""
        now = self._now()
        for stream in list(self._streams):
            received, stream.sent_at_check = stream.sent - stream.sent_at_check, stream.sent
            stream.deadline = min(now + self._timeout_s, stream.deadline + received / MIN_BYTES_PER_S)
            if stream.deadline < now:
                stream.deadline = now + self._timeout_s  # for the closing handshake of a WebSocket
                (stream.on_too_slow or stream.close)()

    def _close_oldest(self, caller: Caller, but: ClientConnection | None = None) -> None:
        waiting = (stream for stream in self._streams if stream.caller == caller and stream is not but)
        oldest = next((stream for stream in waiting if stream.unsent), None)  # a file's bytes are not in memory
        if oldest is not None:
            oldest.close()


def stream_of(handler: web.RequestHandler) -> ClientConnection | None:
    """The connection of a request, also after its WebSocket was opened; None if it is not one of this module."""
    if isinstance(handler, WebSocketHandler) and handler.ws_connection is not None:
        stream = handler.ws_connection.stream
        return stream if isinstance(stream, ClientConnection) else None
    return client_of(handler.request.connection)


def client_of(connection: httputil.HTTPConnection | None) -> ClientConnection | None:
    """The client's connection that a request came on; None if it is not one of this module."""
    stream = getattr(connection, "stream", None)
    return stream if isinstance(stream, ClientConnection) else None


def local_port(handler: web.RequestHandler) -> int | None:
    """The port of this gateway's that a request came to; None if it is not known."""
    stream = stream_of(handler)
    try:
        return None if stream is None else int(stream.client_socket().getsockname()[1])
    except OSError:  # the connection is closed
        return None


def is_waiting(handler: web.RequestHandler) -> bool:
    """Whether the client has still to receive something."""
    stream = stream_of(handler)
    return stream is not None and stream.unsent > 0


def add_sent(handler: web.RequestHandler, length: int) -> None:
    """Count bytes of an answer's body that were sent past its connection, which finishes no answer that is shorter than its
    Content-Length."""
    connection = handler.request.connection
    if isinstance(connection, HTTP1Connection):
        assert connection._expected_content_remaining is not None
        connection._expected_content_remaining -= length
    else:
        assert isinstance(connection, AnswerConnection)
        connection.add_sent(length)


def abort_connection(handler: web.RequestHandler) -> None:
    """Close the connection in the middle of an answer, so that the client does not mistake it for a complete one."""
    stream = getattr(handler.request.connection, "stream", None)
    if stream is not None:
        stream.close()
