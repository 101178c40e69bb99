"""A server that reads requests as one of the models does, mistakes included: the comparison must find each of them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateway.http.wire.proxies import Front


class ToyServer:
    """Answers each request that its model sees with an empty answer, and never refuses."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._servers: list[asyncio.Server] = []

    def add_sockets(self, sockets: Any) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for each in sockets:
            task = loop.create_task(loop.create_server(lambda: _Toy(self._front), sock=each))
            task.add_done_callback(lambda done: self._servers.append(done.result()))

    def stop(self) -> None:
        """Accept no more."""
        for server in self._servers:
            server.close()

    async def close_all_connections(self) -> None:
        """They end with the loop."""


class _Toy(asyncio.Protocol):
    def __init__(self, front: Front) -> None:
        self._front, self._data, self._answered = front, b"", 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        count, _ = self._front.begin(self._data)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * (count - self._answered))
        self._answered = max(count, self._answered)
