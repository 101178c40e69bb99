"""The HTTP wire beneath the handlers: how long a client may take, and how large a body may be.

Tornado has both limits, but its time limits cost a future and a timer for each request, a tenth of a send; and it answers 400 to
a large body where a 413 is due.
"""

from __future__ import annotations

import time
from typing import Any

from tornado import httputil, web
from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornado.httpserver import HTTPServer

IDLE_CONNECTION_S = 75.0  # for the next request of a connection to begin
BODY_S = 30.0  # for a request's body to arrive once its headers have
BODY_BYTES_MAX = 1 << 30  # what is over a route's limit is dropped as it comes, so that it can be answered

Awaited = dict[object, float]  # connection -> until when its client must have sent what we wait for


class BodyCap(web._HandlerDelegate):
    """Keeps no more of a body in memory than its route takes; what is over is counted and dropped, and answered 413."""

    received = 0

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        """From here on, the body is waited for."""
        self.application.settings["awaited"][self.request.server_connection] = time.monotonic() + BODY_S
        return super().headers_received(start_line, headers)

    def data_received(self, data: bytes) -> None:
        """One piece of the body."""
        self.received += len(data)
        limit: int = self.handler_class.body_limit  # type: ignore[attr-defined]
        if self.received <= limit:
            self.chunks += data

    def finish(self) -> None:
        """The whole body is here."""
        self.application.settings["awaited"].pop(self.request.server_connection, None)
        self.handler_kwargs = {**self.handler_kwargs, "received_bytes": self.received}
        super().finish()


class Server(HTTPServer):
    """Tornado's server, with time limits that a look once a second keeps."""

    awaited: Awaited

    def initialize(self, application: Any, awaited: Awaited) -> None:  # type: ignore[override]
        """Tornado's hook, in the place of __init__."""
        super().initialize(application, max_body_size=BODY_BYTES_MAX)
        self.conn_params.header_timeout = None
        self.awaited = awaited

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """A connection waits for its next request."""
        self.awaited[server_conn] = time.monotonic() + IDLE_CONNECTION_S
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """A connection is gone."""
        self.awaited.pop(server_conn, None)
        super().on_close(server_conn)

    def cut_slow(self) -> None:
        """Closes connections whose clients took too long."""
        now = time.monotonic()
        for connection in [c for c, until in self.awaited.items() if until < now]:
            del self.awaited[connection]
            if isinstance(connection, HTTP1ServerConnection):
                connection.stream.close()


def cut(handler: web.RequestHandler) -> None:
    """Breaks an answer off, so that its reader can't take it for whole."""
    connection = handler.request.connection
    if isinstance(connection, HTTP1Connection):
        connection.stream.close()
