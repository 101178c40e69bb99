"""A receiver of webhooks, as a host's backend has one: it checks signatures by the published verifier and keeps its events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """An HTTP server on a free port. `answer(event)` returns a status for each delivery, or None to leave it without an answer."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.received: list[dict[str, Any]] = []  # every delivery, in order
        self.table: dict[str, dict[str, Any]] = {}  # the events that were taken, by webhook-id
        self.headers: list[dict[str, str]] = []
        self.connections = self.unverified = 0
        self.answer: Callable[[dict[str, Any]], int | None] = lambda event: 204
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        """The address to deliver to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook?a=1"

    def stop(self) -> None:
        """Stop the server."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> int | None:
        """Check and keep a delivery; returns the status to answer."""
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                self.unverified += 1
                return 401
        payload = msgspec.json.decode(body)
        headers = {name.lower(): value for name, value in headers.items()}
        self.headers.append(headers)
        self.received.append(payload["data"])
        status = self.answer(payload["data"])
        if status is None:
            self.released.wait()
        elif status < 300:
            self.table[headers["webhook-id"]] = payload
        return status


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # of a worker that was killed
            super().handle_error(request, client_address)


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(body, dict(self.headers.items()))
            if status is not None:
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
