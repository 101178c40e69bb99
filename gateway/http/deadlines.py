"""Limits of a connection beneath the handlers: how long a client may take to send a request, and how large a body may be.

Tornado has both, but its time limits cost a future and a timer for each request, a tenth of a send; and it answers 400 to a large
body where 413 is due.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado import httputil
from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer, _HTTPRequestContext
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from gateway.http.client_address import limited_as
from gateway.http.client_stream import ClientStream
from gateway.http.connections import UnsentAnswers, accepted
from gateway.http.pacing import Pace
from gateway.http.routing import Request

if TYPE_CHECKING:
    from gateway.http.base import Handler

IDLE_CONNECTION_S = 75.0  # until the next request of a connection must begin
BODY_S = 30.0  # from a request's headers until its body must be complete
MAX_BODY_BYTES = 1 << 30  # beyond a route's own limit the body is dropped as it arrives, so that the request can be answered

Deadlines = dict[object, float]  # connection -> time.monotonic() by which its client must have sent the rest


def pop_overdue(deadlines: Deadlines) -> list[object]:
    """Remove the connections whose deadline has passed, and return them."""
    now = time.monotonic()
    overdue = [connection for connection, deadline in deadlines.items() if deadline < now]
    for connection in overdue:
        del deadlines[connection]
    return overdue


class BodyLimiter(httputil.HTTPMessageDelegate):
    """Keeps no more of a body in memory than the route's limit, and runs the handler. The rest is counted and dropped, and
    answered 413."""

    def __init__(self, application: Any, request: Request, handler_class: type[Handler], path_args: Sequence[bytes]) -> None:
        self.application = application
        self.request = request
        self.handler_class = handler_class
        self.path_args = path_args
        self._kept: bytes | bytearray = b""
        self._received = 0

    def headers_received(self, start_line: Any, headers: Any) -> Awaitable[None] | None:
        """Set the deadline of the body, since the headers are complete."""
        self.application.settings["deadlines"][self.request.server_connection] = time.monotonic() + BODY_S
        return None

    def data_received(self, data: bytes) -> Awaitable[None] | None:
        """Keep a part of the body, up to the limit."""
        is_first = not self._received
        self._received += len(data)
        if self._received <= self.handler_class.body_limit:
            if is_first:
                self._kept = data
            else:
                self._kept = bytearray(self._kept) if isinstance(self._kept, bytes) else self._kept
                self._kept += data
        return None

    def finish(self) -> None:
        """Remove the deadline and run the handler, since the body is complete."""
        self.application.settings["deadlines"].pop(self.request.server_connection, None)
        self.request.body = bytes(self._kept)
        if self.handler_class.is_paced:
            self.application.settings["pace"].begin(self._execute_if_open)
        else:
            self.execute(received_bytes=self._received)

    def on_connection_close(self) -> None:
        """Keep nothing: the client has disconnected before the body was complete."""
        self._kept = b""

    def _execute_if_open(self) -> None:
        """Run the handler, unless the client has disconnected, which the handler would not notice then."""
        if not self.request.connection.stream.closed():  # type: ignore[union-attr]
            self.execute(received_bytes=self._received)

    def execute(self, **options: Any) -> asyncio.Task[None]:
        """Run the handler in a task."""
        handler = self.handler_class(self.application, self.request, services=self.application.services, **options)
        return handler.run(self.path_args)


class ServerConnection(HTTP1ServerConnection):
    """Tornado's connection, with the task alone, where Tornado has three callbacks beside it."""

    def start_serving(self, delegate: httputil.HTTPServerConnectionDelegate) -> None:
        """Tornado's method: read requests in a task, which the connection keeps."""
        self._serving_future = asyncio.create_task(self._server_request_loop(delegate))


class Server(HTTPServer):
    """Tornado's server, with deadlines of requests and answers that are checked once a second."""

    deadlines: Deadlines
    unsent: UnsentAnswers
    refusal: Callable[[str], bytes] | None
    pace: Pace
    turns: Pace

    def initialize(  # type: ignore[override]
        self, application: Any, deadlines: Deadlines, unsent: UnsentAnswers | None = None
    ) -> None:
        """Tornado's hook, in the place of __init__."""
        super().initialize(application, max_body_size=MAX_BODY_BYTES)
        self.conn_params.header_timeout = None
        self.deadlines = deadlines
        self.unsent = unsent or UnsentAnswers()
        self.refusal = getattr(application, "refusal", None)
        self.pace = application.settings["pace"]
        self.turns = application.settings["turns"]

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections, a few in each tick of the loop; Tornado accepts 128."""
        loop = IOLoop.current()
        for listening in sockets:
            self._sockets[listening.fileno()] = listening
            self._handlers[listening.fileno()] = partial(loop.remove_handler, listening)
            loop.add_handler(listening, self._accept, IOLoop.READ)

    def _accept(self, listening: socket.socket, _events: int) -> None:
        self.accept_waiting(listening)

    def accept_waiting(self, listening: socket.socket) -> None:
        """Accept some of the connections that wait at a socket, of this gateway or another one."""
        for connection, address in accepted(listening, self.pace.limit):
            self._handle_connection(connection, address)

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        """Tornado's method, with our kind of stream."""
        caller = limited_as(address[0])
        stream = ClientStream(connection, self.unsent, self.turns, self.pace, caller, max_buffer_size=self.max_buffer_size)
        if self.refusal is not None:
            stream.refusal = self.refusal
        self.handle_stream(stream, address)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Tornado's method, with our kind of connection."""
        context = _HTTPRequestContext(stream, address, self.protocol, self.trusted_downstream)
        connection = ServerConnection(stream, self.conn_params, context)
        self._connections.add(connection)
        connection.start_serving(self)

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """Set the deadline of a connection that waits for its next request."""
        self.deadlines[server_conn] = time.monotonic() + IDLE_CONNECTION_S
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Remove the deadline of a closed connection."""
        self.deadlines.pop(server_conn, None)
        super().on_close(server_conn)

    def close_overdue(self) -> None:
        """Close the connections whose deadline has passed, of requests and of answers."""
        self.unsent.close_slow()
        for connection in pop_overdue(self.deadlines):
            if isinstance(connection, HTTP1ServerConnection):
                connection.stream.close()
