"""The server of the wire: it accepts connections, and looks at their deadlines once a second."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tornado.httpserver import _CallableAdapter
from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate, HTTPServerRequest
from tornado.iostream import StreamClosedError

from gateway.http.client_address import limited_as
from gateway.http.client_stream import BAD_REQUEST, ClientStream
from gateway.http.connections import Caller, UnsentAnswers, accepted
from gateway.http.deadlines import IDLE_CONNECTION_S, MAX_BODY_BYTES, Deadlines, pop_overdue
from gateway.http.pacing import Pace
from gateway.http.wire.connection import Connection
from gateway.http.wire.exchange import Peer
from gateway.http.wire.transport import ClientTransport

BUFFER_BYTES = 64 * 1024
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
ACCEPT_AGAIN_S = 1.0  # when the process has no descriptor left
ACCEPTED_AT_ONCE = 20
UNIX_SOCKET = "0.0.0.0"  # noqa: S104  # the address that Tornado gives a client without one

Receiver = HTTPServerConnectionDelegate | Callable[[HTTPServerRequest], None]


class WireServer:
    """Serves an application of Tornado's on connections of the wire."""

    def __init__(
        self,
        application: Receiver,
        deadlines: Deadlines | None = None,
        unsent: UnsentAnswers | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        idle_s: float = IDLE_CONNECTION_S,
    ) -> None:
        settings: dict[str, Any] = getattr(application, "settings", {})
        self.deadlines: Deadlines = {} if deadlines is None else deadlines
        self.unsent = unsent or UnsentAnswers()
        self.max_body_bytes = max_body_bytes
        self.idle_s = idle_s
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self.connections: dict[ClientTransport, None] = {}
        self.refusal: Callable[[str], bytes] = getattr(application, "refusal", lambda _slug: BAD_REQUEST)
        self._application = application
        self.turns: Pace | None = settings.get("turns")
        self.pace: Pace | None = settings.get("pace")
        self._listening: list[socket.socket] = []
        self._accepting: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._all_closed: asyncio.Future[None] | None = None
        self.written: asyncio.Future[None] = self._loop.create_future()  # of all that is written at once
        self.written.set_result(None)

    # Accepting

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections, a few in each tick of the loop."""
        for listening in sockets:
            listening.settimeout(0)
            self._listening.append(listening)
            self._loop.add_reader(listening, self.accept_waiting, listening)

    def accept_waiting(self, listening: socket.socket) -> None:
        """Accept some of the connections that wait at a socket, of this gateway or another one."""
        try:
            for connection, address in accepted(listening, self.pace.limit if self.pace else ACCEPTED_AT_ONCE):
                self._connect(connection, address)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_AGAIN_S, self._accept_again, listening)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self.accept_waiting, listening)

    def _connect(self, connection: socket.socket, address: Any) -> None:
        connection.settimeout(0)
        is_internet = connection.family in (socket.AF_INET, socket.AF_INET6)
        remote_ip = address[0] if is_internet else UNIX_SOCKET
        protocol = partial(Connection, self, connection, Peer(remote_ip, "http"), limited_as(remote_ip))
        task = self._loop.create_task(self._loop.connect_accepted_socket(protocol, connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    # What connections use

    def begin_request(self, begin: Callable[[], None], caller: Caller) -> None:
        """Call `begin` when it is this caller's turn: many people can have one address."""
        pace = self.turns if isinstance(caller, int) else self.pace
        if pace is None:
            begin()
        else:
            pace.begin(begin, caller)

    def start_request(self, connection: ClientTransport, exchange: HTTPConnection) -> HTTPMessageDelegate:
        """Return what receives a request."""
        if isinstance(self._application, HTTPServerConnectionDelegate):
            return self._application.start_request(connection, exchange)
        return _CallableAdapter(self._application, exchange)

    def closed_future(self) -> asyncio.Future[None]:
        """The result of a write to a connection that has ended."""
        failed: asyncio.Future[None] = self._loop.create_future()
        failed.set_exception(StreamClosedError())
        failed.exception()  # nobody need wait for it
        return failed

    def stream(self, connection: socket.socket, caller: Caller) -> ClientStream:
        """Make a stream of Tornado's for a connection that leaves HTTP."""
        at_once = Pace(lambda: False, (ACCEPTED_AT_ONCE, ACCEPTED_AT_ONCE))
        return ClientStream(connection, self.unsent, self.turns or at_once, self.pace or at_once, caller)

    def forget(self, connection: ClientTransport) -> None:
        """Keep nothing of a connection that has ended."""
        self.connections.pop(connection, None)
        self.deadlines.pop(connection, None)
        if self._all_closed is not None and not self.connections and not self._all_closed.done():
            self._all_closed.set_result(None)
        if isinstance(self._application, HTTPServerConnectionDelegate):
            self._application.on_close(connection)

    # Deadlines and the end

    def close_overdue(self) -> None:
        """Close the connections whose deadline has passed, of requests and of answers."""
        self.unsent.close_slow()
        for connection in pop_overdue(self.deadlines):
            if isinstance(connection, ClientTransport):
                connection.close()

    def stop(self) -> None:
        """Accept no more connections."""
        for listening in self._listening:
            self._loop.remove_reader(listening)
            listening.close()
        self._listening.clear()

    async def close_all_connections(self) -> None:
        """Close all connections when what they have written is sent, but WebSockets."""
        for connection in list(self.connections):
            connection.end()
        if self.connections:
            self._all_closed = self._loop.create_future()
            await self._all_closed
