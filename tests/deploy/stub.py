"""What stands in for a gateway where a test is about nginx alone: it notes what it is asked, and answers as it is told to."""

from __future__ import annotations

from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Message


class Stub:
    """On a free port. `status` is what it answers; None: it hangs up without an answer."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.status: int | None = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stub.asked.append(Asked(self.command, self.path, self.headers))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if stub.status is not None:
                self.send_response(stub.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """It notes everything as it is."""

    return Handler
