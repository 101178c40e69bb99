"""A raw HTTP/1.1 client for load: keep-alive, one request in flight on each connection, no parsing beyond the frame.

A request costs it about 30 µs of CPU, so that the client is not the limit.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

SPREAD_CONNECTIONS = 16  # many operations can then share a commit
Item = TypeVar("Item")


class Answer(NamedTuple):
    """One HTTP answer; `head` holds the status line and the header lines."""

    status: int
    head: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The start of the body, for a message."""
        return self.body[:200].decode(errors="replace")


class Refused(Exception):
    """A call was answered with a status that is not 2xx."""

    def __init__(self, method: str, path: str, answer: Answer) -> None:
        super().__init__(f"{method} {path}: {answer.status} {answer.text}")
        self.answer = answer


def raw_request(method: str, path: str, token: str = "", body: object = None) -> bytes:
    """Return a request's bytes; `body` is sent as JSON, `token` as a bearer token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    content = b"" if body is None else msgspec.json.encode(body)
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if content or method not in ("GET", "HEAD"):
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def parse_answer(data: bytes | bytearray) -> tuple[Answer, int] | None:
    """Return the first whole answer in `data` and its length in bytes, or None when it is incomplete.

    Raise ValueError when the answer has no Content-Length: none that the loads need is chunked (RFC 9112, section 6).
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = bytes(data[: head_end + 2])
    low = head.lower()
    status, start = int(head[9:12]), head_end + 4
    at = low.find(b"\r\ncontent-length:")
    if at >= 0:
        end = start + int(low[at + 17 : low.index(b"\r\n", at + 17)])
        return (Answer(status, head, bytes(data[start:end])), end) if len(data) >= end else None
    if status in (204, 304):
        return Answer(status, head, b""), start
    raise ValueError("an answer without a length")


class Connection(asyncio.Protocol):
    """One keep-alive connection; `send` writes a request and returns the future of its answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Answer] | None = None
        self.closed = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn off Nagle's algorithm, which would add 40 ms to small requests."""
        self._transport = cast(asyncio.Transport, transport)
        self.closed = False
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight."""
        self.closed = True
        self.fail(ConnectionError(f"the server closed the connection: {exc or 'end of stream'}"))

    def data_received(self, data: bytes) -> None:
        """Resolve the request in flight once its answer is whole."""
        self._buffer += data
        try:
            parsed = parse_answer(self._buffer)
        except ValueError as error:
            self.fail(ConnectionError(str(error)))
            self.abort()
            return
        if parsed is None or self.waiting is None or self.waiting.done():
            return
        answer, length = parsed
        del self._buffer[:length]
        if b"\r\nconnection: close" in answer.head.lower():
            self.abort()
        self.waiting.set_result(answer)

    def send(self, raw: bytes) -> asyncio.Future[Answer]:
        """Write a request now; the future fails with ConnectionError when the connection is lost."""
        assert self._transport is not None
        assert self.waiting is None or self.waiting.done(), "one request at a time on a connection"
        self.waiting = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return self.waiting

    def fail(self, error: Exception) -> None:
        """Fail the request in flight, if there is one."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error)
            self.waiting.exception()  # otherwise asyncio logs it for a poll that nothing awaits

    def abort(self) -> None:
        """Close at once and drop unsent bytes."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


class Client:
    """A connection that is opened when needed, and again after it was closed. No request is sent twice."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection: Connection | None = None

    async def open(self) -> Connection:
        """Return the open connection."""
        if self._connection is None or self._connection.closed:
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
        return self._connection

    async def request(self, raw: bytes, timeout_s: float = 30.0) -> Answer:
        """Send and return the answer, whatever its status; raise ConnectionError when none came in time."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self.open()
        future = connection.send(raw)
        late = ConnectionError(f"no answer within {timeout_s:g} s")
        timer = asyncio.get_running_loop().call_later(timeout_s, connection.fail, late)
        try:
            return await future
        except BaseException:
            connection.abort()  # a late answer would be matched to the next request
            raise
        finally:
            timer.cancel()

    async def call(self, method: str, path: str, token: str = "", body: object = None) -> Any:
        """Send and return the decoded JSON answer (None if empty); raise Refused unless it is 2xx."""
        answer = await self.request(raw_request(method, path, token, body), timeout_s=120)
        if not 200 <= answer.status < 300:
            raise Refused(method, path, answer)
        return msgspec.json.decode(answer.body) if answer.body else None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.abort()


async def spread(port: int, items: Iterable[Item], act: Callable[[Client, Item], Awaitable[None]]) -> None:
    """Call `act` for each item, over SPREAD_CONNECTIONS connections at once."""
    left = iter(items)

    async def work() -> None:
        client = Client(port)
        try:
            for item in left:
                await act(client, item)
        finally:
            client.close()

    await asyncio.gather(*(work() for _ in range(SPREAD_CONNECTIONS)))
