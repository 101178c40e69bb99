"""Requests are read with llhttp, which refuses all that two servers could read in different ways."""

from __future__ import annotations

import re
from functools import lru_cache

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser
from tornado.httputil import HTTPHeaders, HTTPInputError

MAX_POOLED = 64  # parsers are used again: an idle connection has none
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) (HTTP/1\.[01])\r\n")
UPGRADE = re.compile(rb"^upgrade:", re.IGNORECASE | re.MULTILINE)
CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,8})[;\r]")
TOO_MANY_DIGITS = re.compile(rb"[0-9A-Fa-f]{17}")  # for a size, which need not be waited for
MAX_CHUNK_LINE_BYTES = 1024  # with its extensions; also of a trailer
MAX_TRAILERS_BYTES = 8 * 1024
_pool: list[RequestParser] = []


@lru_cache(1000)
def _header_name(name: bytes) -> str:
    """The form of a header's name in Tornado's HTTPHeaders."""
    return "-".join(word.capitalize() for word in name.decode("latin1").split("-"))


class RequestParser:
    """One request's head and body, as far as they have been fed. llhttp calls the `on_` methods."""

    def __init__(self) -> None:
        self._llhttp = HttpRequestParser(self)
        self._clear()

    def _clear(self) -> None:
        self.method = self.target = self.version = ""
        self.has_head = self.is_complete = self.keeps_alive = False
        self.body: list[bytes] = []
        self._values: dict[str, list[str]] = {}
        self._combined: dict[str, str] = {}

    @classmethod
    def make(cls) -> RequestParser:
        """A parser that expects a request."""
        return _pool.pop() if _pool else cls()

    def release(self) -> None:
        """Let the parser read another connection's request, if this one ended as it should."""
        if self.is_complete and self.keeps_alive and len(_pool) < MAX_POOLED:
            self._clear()
            _pool.append(self)

    def feed_head(self, head: bytes) -> None:
        """Parse a whole head, up to its empty line. Raises HTTPInputError."""
        line = REQUEST_LINE.match(head)
        if line is None:
            raise HTTPInputError("the request line is malformed")
        method, target, version = line.groups()
        if method == b"CONNECT":
            raise HTTPInputError("this is no proxy")
        self.method, self.target, self.version = method.decode(), target.decode(), version.decode()
        try:
            self._feed_with(head, line.end(1))
        except HttpParserError as error:
            raise HTTPInputError(str(error)) from None
        if not self.has_head:
            raise HTTPInputError("the head is not complete")

    def _feed_with(self, head: bytes, end_of_method: int) -> None:
        try:
            self._feed_without_upgrade(head)
        except HttpParserInvalidMethodError:  # of llhttp's list; a handler answers 405
            self._llhttp = HttpRequestParser(self)
            self._feed_without_upgrade(b"POST" + head[end_of_method:])

    def _feed_without_upgrade(self, head: bytes) -> None:
        """Parse a head. With an upgrade llhttp skips the body, which would be read as the next request: so the head is parsed once
        more without it, of which only the end counts."""
        try:
            self._llhttp.feed_data(head)
        except HttpParserUpgrade:  # it is for a handler to accept that
            self._llhttp = HttpRequestParser(self)
            self.is_complete = False
            self._llhttp.feed_data(UPGRADE.sub(b"x:", head))

    def feed(self, data: bytes) -> bytes:
        """Parse a part of the body, and return it without its framing. Raises HTTPInputError."""
        try:
            self._llhttp.feed_data(data)
        except HttpParserError as error:
            raise HTTPInputError(str(error)) from None
        body, self.body = self.body, []
        return body[0] if len(body) == 1 else b"".join(body)

    def headers(self) -> HTTPHeaders:
        """The headers of the request. They belong to the caller from then on."""
        headers = HTTPHeaders.__new__(HTTPHeaders)  # its __init__ costs as much as two headers
        headers._as_list, headers._combined_cache = self._values, self._combined
        self._values, self._combined = {}, {}
        return headers

    # Called by llhttp

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers, which come after the body, are ignored."""
        if self.has_head:
            return
        key, text = _header_name(name), value.decode("latin1").strip(" \t")
        if key in self._values:
            self._values[key].append(text)
            self._combined[key] += "," + text
        else:
            self._values[key] = [text]
            self._combined[key] = text

    def on_headers_complete(self) -> None:
        """Note the end of the head."""
        self.has_head = True
        self.keeps_alive = self._llhttp.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        """Collect a part of the body."""
        self.body.append(part)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        self.is_complete = True


class TooLargeError(HTTPInputError):
    """A body is longer than any that is read."""


class FixedLength:
    """The extent of a body with a Content-Length."""

    def __init__(self, length: int) -> None:
        self.left = length

    def limit(self, max_bytes: int) -> None:
        """Raise TooLargeError if it is longer."""
        if self.left > max_bytes:
            raise TooLargeError("Content-Length too long")

    def measure(self, data: bytes) -> int:
        """How many of these bytes belong to the body."""
        length = min(self.left, len(data))
        self.left -= length
        return length


class Chunked:
    """The extent of a chunked body (RFC 9112, section 7.1). llhttp checks its form, but does not say where it ends."""

    def __init__(self) -> None:
        self._may_have = 0
        self._left = 0  # of the chunk and its CRLF
        self._trailers_bytes: int | None = None  # after the last chunk

    def limit(self, max_bytes: int) -> None:
        """Allow so many bytes."""
        self._may_have = max_bytes

    def measure(self, data: bytes) -> int:
        """How many of these bytes belong to the body, as far as that is known: the next call begins after them.

        Raises HTTPInputError for a line that is too long, and for a size that is not valid; TooLargeError for a body that is.
        """
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at, at + MAX_CHUNK_LINE_BYTES) + 1
            if not end:
                if len(data) - at >= MAX_CHUNK_LINE_BYTES or TOO_MANY_DIGITS.match(data, at):
                    raise HTTPInputError("a line of a chunked body is too long")
                break
            start, at = at, end
            if self._is_end(data, start, end):
                break
        return at

    def _is_end(self, data: bytes, start: int, end: int) -> bool:
        """Whether the body ends with this line."""
        if self._trailers_bytes is not None:
            self._trailers_bytes += end - start
            if self._trailers_bytes > MAX_TRAILERS_BYTES:
                raise HTTPInputError("the trailers are too long")
            return end - start <= len(b"\r\n")
        size = CHUNK_SIZE.match(data, start, end)
        if size is None:  # llhttp also reads sizes that no body has: the two must never differ
            raise HTTPInputError("invalid chunk size")
        self._left = int(size[1], 16)
        self._may_have -= self._left
        if self._may_have < 0:
            raise TooLargeError("chunked body too large")
        if self._left:
            self._left += len(b"\r\n")
        else:
            self._trailers_bytes = 0
        return False
