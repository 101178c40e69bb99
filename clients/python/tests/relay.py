"""A proxy that can lose an answer: the call was performed, but the client does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.gateway.running import Gateway


class Relay:
    """A proxy for a gateway. `lost` counts the answers that it dropped."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.lost = 0
        self._instead: Callable[[], None] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def lose_the_next_answer(self, instead: Callable[[], None]) -> None:
        """After the gateway's next answer, call `instead` and break the connection."""
        self._instead = instead

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name: handler.headers[name] for name in ("Authorization", "Content-Type") if name in handler.headers}
        answer = self.gateway.http.request(handler.command, handler.path, content=body, headers=headers)
        if self._instead is not None:
            instead, self._instead = self._instead, None
            assert answer.is_success, answer.text
            instead()
            self.lost += 1
            handler.close_connection = True
            return
        handler.send_response(answer.status_code)
        handler.send_header("Content-Length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)

    def _handler(relay) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                relay._forward(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
