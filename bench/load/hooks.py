"""Receivers of webhooks: one that accepts each delivery at once, and one that never answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import cast

import msgspec

ACCEPTED = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Data(msgspec.Struct):
    body: str = ""


class _Event(msgspec.Struct):
    data: _Data


class _Delivery(msgspec.Struct):
    data: _Event


class Hook:
    """A receiver at `url`. `got_at` holds when each message's first delivery came, by the number that its text begins with."""

    def __init__(self) -> None:
        self.url = ""
        self.deliveries = 0
        self.got_at: dict[int, float] = {}
        self._decoder = msgspec.json.Decoder(_Delivery)

    def accept(self, body: bytes) -> None:
        """Count a delivery."""
        now = perf_counter()
        self.deliveries += 1
        number = self._decoder.decode(body).data.data.body[:6]
        if number.isdigit():
            self.got_at.setdefault(int(number), now)


class _Receiving(asyncio.Protocol):
    """Reads requests with a Content-Length and answers each; without a hook, none."""

    def __init__(self, hook: Hook | None) -> None:
        self._hook = hook
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, for the answers."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request once it is whole."""
        if self._hook is None:
            return
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, start = bytes(self._buffer[:head_end]).lower() + b"\r\n", head_end + 4
            at = head.index(b"content-length:") + 15
            end = start + int(head[at : head.index(b"\r\n", at)])
            if len(self._buffer) < end:
                return
            self._hook.accept(bytes(self._buffer[start:end]))
            del self._buffer[:end]
            self._transport.write(ACCEPTED)


@asynccontextmanager
async def receiver(*, answers: bool = True) -> AsyncIterator[Hook]:
    """Run a receiver in this process; it needs about 30 µs for a delivery."""
    hook = Hook()
    server = await asyncio.get_running_loop().create_server(lambda: _Receiving(hook if answers else None), "127.0.0.1", 0)
    hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield hook
    finally:
        server.close()
