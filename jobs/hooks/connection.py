"""The connections to a webhook's receiver: HTTP/1.1 by h11, the protocol part of httpx, on asyncio's streams.

The pool of httpx needs six times the CPU time for a delivery. Here a connection knows no redirect, no proxy and no cookie.
"""

from __future__ import annotations

import asyncio
import ssl
import time

import h11

MAX_KEPT_S = 30.0  # a connection without a delivery
MAX_READ_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 4_096  # of a body; more is not read, and the connection not used again
BODY_TIMEOUT_S = 1.0  # the status has arrived, which is what counts

Headers = list[tuple[bytes, bytes]]


class ClosedError(OSError):
    """The receiver has closed the connection before it has answered."""


class Connection:
    """One connection. `is_reusable` says whether another request may be sent on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        """Whether the last answer was read to its end, and the receiver keeps the connection."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def post(self, target: bytes, headers: Headers, body: bytes) -> int:
        """Post a body and return the status of the answer. Raises ClosedError, OSError, h11.ProtocolError."""
        if self.is_reusable:
            self._http.start_next_cycle()
        request = h11.Request(method=b"POST", target=target, headers=headers)
        parts = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        self._writer.write(b"".join(part for part in parts if part))
        status = await self._status()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await self._read_body()
        except (TimeoutError, OSError, h11.ProtocolError):
            self.close()
        self.used_at = time.monotonic()
        return status

    async def _status(self) -> int:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event.status_code
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


class Connections:
    """Connections to one name, by address. At most as many are open as there are deliveries at a time."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = {"ssl": ssl.create_default_context(), "server_hostname": host} if tls else {}
        self._idle: dict[str, list[Connection]] = {}

    async def post(self, address: str, target: bytes, headers: Headers, body: bytes) -> int:
        """Post to an address, once more if an idle connection turns out to be closed. Raises OSError, h11.ProtocolError."""
        idle = self._idle.setdefault(address, [])
        while idle:
            connection = idle.pop()
            if connection.is_stale:
                connection.close()
                continue
            try:
                return await self._post_by(connection, address, target, headers, body)
            except (ClosedError, ConnectionError):
                continue  # it is at least once: the receiver may have closed it after reading the request
        opened = await asyncio.open_connection(address, self._port, **self._tls)  # type: ignore[arg-type]
        return await self._post_by(Connection(*opened), address, target, headers, body)

    async def _post_by(self, connection: Connection, address: str, target: bytes, headers: Headers, body: bytes) -> int:
        try:
            status = await connection.post(target, headers, body)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable and not connection.is_stale:
            self._idle[address].append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        """Close the idle connections."""
        for connection in (connection for idle in self._idle.values() for connection in idle):
            connection.close()
        self._idle.clear()
