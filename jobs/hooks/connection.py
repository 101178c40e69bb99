"""The connections to a webhook's receiver: as much of HTTP/1.1 as a POST needs, on an asyncio transport.

A connection knows no redirect, no proxy and no cookie. It has one request at a time: of two, the receiver might take the second one
only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from jobs.hooks.answer import AnswerError, Head, end_of, read_head

MAX_KEPT_S = 30.0  # a connection without a delivery
MAX_ANSWER_BYTES = 64 * 1024  # more is not read, and the connection not used again
BODY_TIMEOUT_S = 1.0  # the status has arrived, which is what counts


class ClosedError(OSError):
    """The receiver has closed the connection before it has answered."""


class Post(NamedTuple):
    """A whole request. `limit` is the timeout around it, which ends when the status is there."""

    request: bytes
    limit: asyncio.Timeout


class Connection(asyncio.Protocol):
    """One connection to an address. `is_reusable` says whether another request may be sent on it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_reusable = True
        self.used_at = time.monotonic()
        self._transport: asyncio.Transport
        self._received = b""  # of the answer
        self._has_ended = False  # the receiver sends no more
        self._arrival: asyncio.Future[None] | None = None  # of more, or of the end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Add a part of the answer."""
        self._received += data
        if len(self._received) > MAX_ANSWER_BYTES:
            self.close()
        self._arrive()

    def eof_received(self) -> None:
        """End the connection: the receiver does."""
        self._has_ended = True
        self._arrive()

    def connection_lost(self, error: Exception | None) -> None:
        """End the answer that is being read."""
        self._has_ended = True
        self._arrive()

    def _arrive(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    @property
    def is_stale(self) -> bool:
        """Whether it was closed, or not used for so long that it may have been, or received what nobody requested."""
        is_closed = self._has_ended or self._transport.is_closing() or bool(self._received)
        return is_closed or time.monotonic() - self.used_at > MAX_KEPT_S

    async def post(self, post: Post) -> int:
        """Send a request and return the status of the answer. Raises ClosedError, AnswerError."""
        self.is_reusable = False
        self._transport.write(post.request)
        head = await self._read_head()
        post.limit.reschedule(None)
        end = self._end_of(head)
        if end is None and not self._has_ended:
            end = await self._read_body(head)
        self.is_reusable = head.keeps and end == len(self._received)
        self._received = b""
        self.used_at = time.monotonic()
        return head.status

    async def _read_head(self) -> Head:
        """Return the head of the answer, after those that are not the final one (RFC 9110, 15.2)."""
        while True:
            head = read_head(self._received)
            if head is None:
                await self._read_more()
            elif head.status >= 200:
                return head
            else:
                self._received = self._received[head.end :]

    async def _read_body(self, head: Head) -> int | None:
        """Read the rest of an answer, and return its length; None if it has no end, or a late one."""
        with contextlib.suppress(TimeoutError, ClosedError):
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while (end := self._end_of(head)) is None:
                    await self._read_more()
                return end
        return None

    def _end_of(self, head: Head) -> int | None:
        try:
            return end_of(head, self._received)
        except AnswerError:
            self._has_ended = True  # what follows can't be read
            return None

    async def _read_more(self) -> None:
        if self._has_ended or self._transport.is_closing():
            raise ClosedError("the receiver has closed the connection")
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


class Connections:
    """Connections to one name. At most as many are open as there are deliveries at a time."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls: dict[str, Any] = {"ssl": ssl.create_default_context(), "server_hostname": host} if tls else {}
        self._idle: list[Connection] = []

    async def post(self, addresses: Sequence[str], post: Post) -> int:
        """Post to the first address that can be connected to, and again if an idle connection turns out to be closed.

        Raises OSError.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.is_stale or connection.address not in addresses:
                connection.close()
                continue
            with contextlib.suppress(ClosedError):  # perhaps after reading the request: it is at least once
                return await self._post_by(connection, post)
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
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(address), address, self._port, **self._tls)
        return connection

    async def _post_by(self, connection: Connection, post: Post) -> int:
        try:
            status = await connection.post(post)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable and not connection.is_stale:
            self._idle.append(connection)
        else:
            connection.close()
        return status

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
