"""A small Tornado application that answers with all that it received, for comparing what servers make of the same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from tornado import web
from tornado.websocket import WebSocketHandler

from gateway.http.pacing import Pace

REFUSAL_HEAD = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
REFUSALS = {
    "malformed": b"HTTP/1.1 400 Bad Request\r\n",
    "uri-too-long": b"HTTP/1.1 414 URI Too Long\r\n",
    "headers-too-large": b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
}
MAX_BODY_BYTES = 100_000


def digest(body: bytes) -> str:
    return f"{len(body)} {hashlib.md5(body).hexdigest()}"


class Echo(web.RequestHandler):
    """Answers at once, to any method."""

    def answer(self, body: str = "") -> None:
        """Write the request, with its headers as they were received."""
        request = self.request
        seen: dict[str, Any] = {
            "method": request.method,
            "uri": request.uri,
            "path": request.path,
            "version": request.version,
            "host": request.host,
            "arguments": {name: [v.hex() for v in values] for name, values in request.query_arguments.items()},
            "headers": list(request.headers.get_all()),
            "body": body or digest(request.body),
        }
        self.write(json.dumps(seen))

    def get(self) -> Any:
        """Answer."""
        self.answer()

    post = put = patch = delete = head = options = get


class Late(Echo):
    """Answers some ticks of the loop later: the next request of the connection must wait."""

    async def get(self) -> None:
        """Answer later."""
        for _ in range(3):
            await asyncio.sleep(0)
        self.answer()

    post = put = patch = delete = head = options = get


class Parts(Echo):
    """Answers in parts, chunked for those who understand it."""

    async def get(self) -> None:
        """Flush three times."""
        self.answer()
        await self.flush()
        for size in (0, 1, 70_000):
            self.write(b"p" * size)
            await self.flush()

    post = put = patch = delete = options = get


class Empty(Echo):
    """Answers without a body."""

    def get(self) -> None:
        """Answer 204, or 304 when the client has it."""
        self.set_status(304 if "If-None-Match" in self.request.headers else 204)

    post = put = patch = delete = head = options = get


@web.stream_request_body
class Reader(Echo):
    """Reads a body while it arrives."""

    def prepare(self) -> None:
        """Begin to count."""
        self.parts: list[bytes] = []

    async def data_received(self, chunk: bytes) -> None:
        """Count a part, a tick later: the sender has to wait."""
        await asyncio.sleep(0)
        self.parts.append(chunk)

    def get(self) -> None:
        """Answer."""
        self.answer(digest(b"".join(self.parts)))

    post = put = patch = delete = head = options = get


@web.stream_request_body
class Early(Echo):
    """Answers before the body has arrived."""

    def prepare(self) -> None:
        """Refuse."""
        self.set_status(413)
        self.set_header("Connection", "close")
        self.finish("too large")

    def data_received(self, chunk: bytes) -> None:
        """Drop what still comes."""


@web.stream_request_body
class Begun(Echo):
    """Begins its answer before the body has arrived."""

    async def prepare(self) -> None:
        """Begin."""
        self.write("begun")
        await self.flush()

    def data_received(self, chunk: bytes) -> None:
        """Drop what still comes."""


class Socket(WebSocketHandler):
    """Returns each message."""

    def on_message(self, message: str | bytes) -> None:
        """Return it."""
        self.write_message(message, binary=isinstance(message, bytes))


class EchoApplication(web.Application):
    """The handlers above; `requests` counts the heads that the new wire handed over or refused."""

    def __init__(self) -> None:
        paths = {"/echo": Echo, "/late": Late, "/parts": Parts, "/empty": Empty, "/reader": Reader, "/early": Early}
        paths |= {"/begun": Begun, "/ws": Socket}
        paces = {name: Pace(lambda: False, (20, 2)) for name in ("pace", "turns")}
        super().__init__(list(paths.items()), default_handler_class=Echo, log_function=lambda handler: None, **paces)
        self.requests = 0

    def start_request(self, server_conn: object, request_conn: Any) -> Any:
        """Count a request."""
        self.requests += 1
        return super().start_request(server_conn, request_conn)

    def refusal(self, slug: str) -> bytes:
        """The answer to a request that reaches no handler."""
        self.requests += 1
        return REFUSALS[slug] + REFUSAL_HEAD
