"""A client's connection on an asyncio transport: reading into a shared buffer, and writing with back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Protocol, cast

from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import StreamClosedError

from gateway.http.client_stream import ClientStream
from gateway.http.connections import Caller, UnsentAnswers, silence_of
from gateway.http.deadlines import Deadlines
from gateway.http.lingering import Lingering
from gateway.http.wire.exchange import Peer, Stream


class ConnectionServer(Protocol):
    """The server, as its connections know it."""

    buffer: memoryview
    connections: dict[ClientTransport, None]
    deadlines: Deadlines
    idle_s: float
    max_body_bytes: int
    refusal: Callable[[str], bytes]
    unsent: UnsentAnswers
    written: asyncio.Future[None]

    def begin_request(self, begin: Callable[[], None], caller: Caller) -> None:
        """Call `begin` when a request of this caller may begin."""

    def start_request(self, connection: ClientTransport, exchange: HTTPConnection) -> HTTPMessageDelegate:
        """Return the receiver of a request."""

    def closed_future(self) -> asyncio.Future[None]:
        """Return the result of a write to a connection that has ended."""

    def stream(self, connection: socket.socket, caller: Caller) -> ClientStream:
        """Make a stream of Tornado's."""

    def forget(self, connection: ClientTransport) -> None:
        """Keep nothing of a connection that has ended."""


class ClientTransport(Stream, asyncio.BufferedProtocol):
    """asyncio's protocol of one client, whose requests a subclass reads."""

    __slots__ = (
        "_drained",
        "_ends_when_drained",
        "_failure",
        "_is_closed",
        "_is_paused",
        "_server",
        "_socket",
        "_transport",
        "_written",
    )

    def __init__(self, server: ConnectionServer, connection: socket.socket, peer: Peer, caller: Caller) -> None:
        super().__init__(server.unsent, caller)
        self.peer = peer
        self._server = server
        self._socket = connection
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # until it is connected
        self._is_paused = False  # whether the transport does not read
        self._is_closed = False
        self._written = 0
        self._ends_when_drained = False
        self._drained: asyncio.Future[None] | None = None  # done when the system has accepted everything
        self._failure: BaseException | None = None

    # What a subclass does

    def received(self, data: bytes) -> None:
        """Read what has arrived."""
        raise NotImplementedError

    def drained(self) -> None:
        """The client has received everything that was written."""
        raise NotImplementedError

    def lost(self) -> None:
        """The connection has ended."""
        raise NotImplementedError

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # `pause_writing` says when anything is unsent
        self._server.deadlines[self] = time.monotonic() + self._server.idle_s
        self._server.connections[self] = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio's callback: all connections share one buffer, since what is read is copied before the next read."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio's callback: bytes have arrived."""
        self.received(bytes(self._server.buffer[:nbytes]))

    def eof_received(self) -> bool:
        """asyncio's callback: a client that sends no more has gone, as far as one can tell. The connection closes."""
        return False

    def pause_writing(self) -> None:
        """asyncio's callback: the system has not accepted everything."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """asyncio's callback: the system has accepted everything."""
        drained, self._drained = self._drained, None
        if drained is not None:
            self._answers.remove(self)
            if not drained.done():
                drained.set_result(None)
            if self._ends_when_drained:
                self.end(has_unread=True)
            else:
                self.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's callback: the connection has ended."""
        self._is_closed = True
        self._failure = exc
        self._answers.remove(self)
        self._server.forget(self)
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_exception(StreamClosedError(real_error=exc))
            drained.exception()  # nobody need wait for it
        self.lost()

    # What UnsentAnswers and handlers use

    @property
    def sent(self) -> int:
        """The number of bytes that the operating system has accepted."""
        return self._written + self.sent_from_file - self._transport.get_write_buffer_size()

    @property
    def silent_s(self) -> float:
        """How long the client's host had acknowledged nothing when the system closed the connection for that; 0 otherwise."""
        return silence_of(self._failure)

    def closed(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self._is_closed or self._transport.is_closing()

    def client_socket(self) -> socket.socket:
        """The socket, of a connection that has not ended. It stays the connection's."""
        return self._socket

    def close(self) -> None:
        """End the connection, without what it has not sent."""
        if not self._is_closed:
            self._answers.remove(self)  # `connection_lost` is called in a later tick, for which the bounds cannot wait
            self._transport.abort()

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Write, as `Stream` says."""
        if self._is_closed or self._transport.is_closing():
            return self._server.closed_future()
        self._transport.write(data)
        self._written += len(data)
        if self._drained is None:
            return self._server.written
        self._answers.add(self, len(data))
        if self._drained is not None and self._drained.done():  # cancelled by one who waited
            self._drained = asyncio.get_running_loop().create_future()
        return self._drained or self._server.closed_future()

    # What a subclass uses

    def pause_reading(self, *, is_enough: bool) -> None:
        """Read nothing while what has arrived is enough."""
        if is_enough != self._is_paused and not self.closed():
            self._is_paused = is_enough
            if is_enough:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def end(self, *, has_unread: bool = False) -> None:
        """Close the connection when everything is sent. What the client may still send is dropped for a while if it has unread
        bytes: a reset could lose the answer."""
        if not has_unread or self.closed():
            self._transport.close()
        elif self._drained is not None:
            self._ends_when_drained = True
        else:
            with contextlib.suppress(OSError):  # no descriptor is left
                Lingering.begin(self.duplicate())
            self._transport.close()

    def duplicate(self) -> socket.socket:
        """Return the connection with a descriptor of its own, which stays open when the transport closes."""
        duplicate = socket.socket(fileno=os.dup(self._socket.fileno()))
        duplicate.settimeout(0)
        return duplicate
