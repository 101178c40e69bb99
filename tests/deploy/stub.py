"""A stub of a gateway for tests of nginx alone: it records its requests and answers with a chosen status."""

from __future__ import annotations

from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Request(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Message


class Stub:
    """A server on a free port. It answers with `status`; with None it closes the connection without an answer."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.status: int | None = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stub.requests.append(Request(self.command, self.path, self.headers))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if stub.status is not None:
                self.send_response(stub.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Write no log: all requests are recorded."""

    return Handler
