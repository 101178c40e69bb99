"""The connections to a webhook's receiver: HTTP/1.1 by h11, the protocol part of httpx, on asyncio's streams.

The pool of httpx needs six times the CPU time for a delivery. Here a connection knows no redirect, no proxy and no cookie.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import h11

MAX_KEPT_S = 30.0  # a connection without a delivery
MAX_READ_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 4_096  # of a body; more is not read, and the connection not used again
BODY_TIMEOUT_S = 1.0  # the status has arrived, which is what counts

Headers = list[tuple[bytes, bytes]]


class ClosedError(OSError):
    """The receiver has closed the connection before it has answered."""


class Post(NamedTuple):
    """A body to be posted. `limit` is the timeout around it, which ends when the status is there."""

    target: bytes
    headers: Headers
    body: bytes
    limit: asyncio.Timeout


class Connection:
    """One connection to an address. `is_reusable` says whether another request may be sent on it."""

    def __init__(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.address = address
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self.used_at = time.monotonic()

    @property
    def is_stale(self) -> bool:
        """Whether it was closed, or not used for so long that it may have been."""
        return self._reader.at_eof() or self._writer.is_closing() or time.monotonic() - self.used_at > MAX_KEPT_S

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end, nothing came after it, and the receiver keeps the connection.

        What came after it would be read as the answer to the next delivery.
        """
        is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return is_done and not self._http.trailing_data[0]

    async def post(self, post: Post) -> h11.Response:
        """Post a body and return the head of the answer. Raises ClosedError, OSError, h11.ProtocolError."""
        if self.is_reusable:
            self._http.start_next_cycle()
        request = h11.Request(method=b"POST", target=post.target, headers=post.headers)
        parts = [self._http.send(event) for event in (request, h11.Data(data=post.body), h11.EndOfMessage())]
        self._writer.write(b"".join(part for part in parts if part))
        response = await self._response()
        post.limit.reschedule(None)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await self._read_body()
        except (TimeoutError, OSError, h11.ProtocolError):
            self.close()
        self.used_at = time.monotonic()
        return response

    async def _response(self) -> h11.Response:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.ConnectionClosed):
                raise ClosedError("the receiver has closed the connection")

    async def _read_body(self) -> None:
        size = 0
        while size <= MAX_ANSWER_BYTES:
            event = await self._next_event()
            if not isinstance(event, h11.Data):
                return
            size += len(event.data)

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(MAX_READ_BYTES)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ClosedError("the receiver has closed the connection")
            self._http.receive_data(data)
        return event

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


@cache
def _context() -> ssl.SSLContext:
    """The certificates that are trusted, read once: half a megabyte."""
    return ssl.create_default_context()


class Connections:
    """Connections to one name. At most as many are open as there are deliveries at a time."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = {"ssl": _context(), "server_hostname": host} if tls else {}
        self._idle: list[Connection] = []

    async def post(self, addresses: Sequence[str], post: Post) -> h11.Response:
        """Post to the first address that can be connected to, and again if an idle connection turns out to be closed.

        Raises OSError, h11.ProtocolError.
        """
        self.close_idle(addresses)
        while self._idle:
            with contextlib.suppress(ClosedError, ConnectionError):
                return await self._post_by(self._idle.pop(), post)
            self.close_idle(addresses)  # it is at least once: the receiver may have closed it after reading the request
        return await self._post_by(await self._connect(addresses, post.limit), post)

    async def _connect(self, addresses: Sequence[str], limit: asyncio.Timeout) -> Connection:
        """Connect to the first address that can be, each within its share of the time that is left."""
        now = asyncio.get_running_loop().time
        for left, address in zip(range(len(addresses) - 1, 0, -1), addresses, strict=False):
            with contextlib.suppress(OSError):  # a TimeoutError is one
                async with asyncio.timeout(((limit.when() or now()) - now()) / (left + 1)):
                    return await self._open(address)
        return await self._open(addresses[-1])

    async def _open(self, address: str) -> Connection:
        opened = await asyncio.open_connection(address, self._port, **self._tls)  # type: ignore[arg-type]
        return Connection(address, *opened)

    async def _post_by(self, connection: Connection, post: Post) -> h11.Response:
        try:
            response = await connection.post(post)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable and not connection.is_stale:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def close_idle(self, but: Sequence[str] | None = None) -> None:
        """Close the idle connections that are stale, or not to one of these addresses."""
        kept = []
        for connection in self._idle:
            if connection.is_stale or (but is not None and connection.address not in but):
                connection.close()
            else:
                kept.append(connection)
        self._idle = kept

    def close(self) -> None:
        """Close the idle connections."""
        self.close_idle(())
