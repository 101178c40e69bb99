"""One request and its answer: what Tornado's handlers know as their connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple

from tornado.escape import utf8
from tornado.http1connection import parse_int
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPOutputError, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream

from gateway.http.connections import AnswerConnection, ClientConnection

CRLF = b"\r\n"
LINE_BREAK = re.compile(rb"[\r\n\0]")
CLOSE, KEEP_ALIVE = b"Connection: close\r\n", b"Connection: Keep-Alive\r\n"
WITHOUT_BODY = (204, 304)
LAST_CHUNK = b"0\r\n\r\n"


class Peer(NamedTuple):
    """The other end of a connection, and its protocol."""

    remote_ip: str
    protocol: str


class Stream(ClientConnection):
    """A connection, as its exchanges know it."""

    __slots__ = ("peer",)
    peer: Peer

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Write. Done when the system has accepted everything; with StreamClosedError if the client disconnects before."""
        raise NotImplementedError

    def answered(self, exchange: Exchange) -> None:
        """Go on after an exchange: its answer is complete."""
        raise NotImplementedError

    def detach(self) -> IOStream:
        """Leave the connection to another protocol, with the bytes that were read and not parsed."""
        raise NotImplementedError


class Exchange(AnswerConnection):
    """One request on a connection."""

    __slots__ = (
        "_chunks",
        "_left",
        "_on_close",
        "delegate",
        "ends_connection",
        "is_answered",
        "is_begun",
        "is_read",
        "max_body_bytes",
        "method",
        "stream",
        "version",
    )

    def __init__(self, stream: Stream, start_line: RequestStartLine, *, keeps_alive: bool, max_body_bytes: int) -> None:
        self.stream = stream
        self.method = start_line.method
        self.version = start_line.version
        self.ends_connection = not keeps_alive
        self.max_body_bytes = max_body_bytes
        self.delegate: HTTPMessageDelegate | None = None  # of the request, until it is read
        self.is_read = self.is_begun = self.is_answered = False
        self._on_close: Callable[[], None] | None = None
        self._chunks = False  # whether the answer is chunked
        self._left: int | None = None  # of the answer's Content-Length

    @property
    def context(self) -> Peer:
        """Tornado's attribute: the peer."""
        return self.stream.peer

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call this if the client disconnects after its request and before its answer is complete."""
        self._on_close = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Allow so many bytes of this request's body."""
        self.max_body_bytes = max_body_size

    def answer(self, head: bytes, body: bytes) -> asyncio.Future[None]:
        """Write a whole answer and end the exchange."""
        if self.ends_connection:
            head += CLOSE
        elif self.version == "HTTP/1.0":
            head += KEEP_ALIVE
        written = self.stream.write(b"".join((head, CRLF, b"" if self.method == "HEAD" else body)))
        self._end()
        return written

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> asyncio.Future[None]:
        """Tornado's method: write the head of the answer, and a part of its body."""
        assert isinstance(start_line, ResponseStartLine)
        self.is_begun = True
        has_body = self.method != "HEAD" and start_line.code not in WITHOUT_BODY and start_line.code >= 200
        self._chunks = has_body and self.version == "HTTP/1.1" and "Content-Length" not in headers
        if self._chunks:
            headers["Transfer-Encoding"] = "chunked"
        elif has_body and "Content-Length" not in headers:
            self.ends_connection = True  # the end of the body
        if start_line.code != 101:
            self._add_connection(headers)
        if self.method == "HEAD" or start_line.code == 304:
            self._left = 0
        else:
            self._left = parse_int(headers["Content-Length"]) if "Content-Length" in headers else None
        lines = [b"HTTP/1.1 %d %b" % (start_line.code, utf8(start_line.reason))]
        lines += [f"{name}: {value}".encode("latin1") for name, value in headers.get_all()]
        for line in lines:
            if LINE_BREAK.search(line):
                raise ValueError(f"a header must be one line: {line!r}")
        data = CRLF.join(lines) + b"\r\n\r\n"
        return self.stream.write(data + self._framed(chunk) if chunk else data)

    def _add_connection(self, headers: HTTPHeaders) -> None:
        if headers.get("Connection", "").lower() == "close":
            self.ends_connection = True
        elif self.ends_connection:
            headers["Connection"] = "close"
        elif self.version == "HTTP/1.0":
            headers["Connection"] = "Keep-Alive"

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Tornado's method: write a part of the answer's body."""
        return self.stream.write(self._framed(chunk))

    def _framed(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.stream.close()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._chunks and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return bytes(chunk)

    def add_sent(self, length: int) -> None:
        """Count bytes of the answer's body that were sent past this exchange."""
        assert self._left is not None
        self._left -= length

    def finish(self) -> None:
        """Tornado's method: end the answer."""
        if self._left and not self.stream.closed():
            self.stream.close()
            raise HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
        if self._chunks:
            self.stream.write(LAST_CHUNK)
        self._end()

    def _end(self) -> None:
        self.is_answered = True
        self._on_close = None
        self.stream.answered(self)

    def lost(self) -> None:
        """Tell the receiver of the request, or who answers it, that the client has disconnected."""
        delegate, self.delegate = self.delegate, None
        on_close, self._on_close = self._on_close, None
        if delegate is not None and not self.is_read:
            delegate.on_connection_close()
        elif on_close is not None:
            on_close()

    def detach(self) -> IOStream:
        """Tornado's method: leave the connection to another protocol."""
        return self.stream.detach()
