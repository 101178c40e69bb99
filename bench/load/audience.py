"""Many readers who wait for the same message, each with a connection of its own."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

from bench.load.client import Client, Connection
from bench.load.metrics_page import read_page, samples
from bench.load.targets import Chat

OPENING_TASKS = 8
POLL_TIMEOUT_S = 60.0
WAITING_TIMEOUT_S = 60.0
CHECK_INTERVAL_S = 0.1


class Reader(Connection):
    """A connection that parses its answer in the moment in which it is whole."""

    def __init__(self, target: Chat, user: int) -> None:
        super().__init__()
        self._target, self._user = target, user
        self.cursor, self.parsed_at = "", 0.0

    def poll(self) -> None:
        """Wait for the next message."""
        self.parsed_at = 0.0
        self.send(self._target.poll(self._user, self.cursor, POLL_TIMEOUT_S))

    def data_received(self, data: bytes) -> None:
        """Parse the answer, and record the time."""
        super().data_received(data)
        if self.waiting is not None and self.waiting.done() and not self.waiting.exception():
            self.cursor, _ = self._target.polled(self._user, self.waiting.result().body)
            self.parsed_at = perf_counter()


class Audience:
    """The readers of a conversation: one connection for each user of the target."""

    def __init__(self, target: Chat) -> None:
        self._target = target
        self._client = Client(target.port)
        self._readers: list[Reader] = []

    async def connect(self) -> None:
        """Open all connections, at the present cursor."""
        cursor = await self._target.cursor(self._client, 0)
        loop = asyncio.get_running_loop()

        async def connect_some(users: range) -> None:
            for user in users:
                _, reader = await loop.create_connection(partial(Reader, self._target, user), "127.0.0.1", self._target.port)
                reader.cursor = cursor
                self._readers.append(reader)

        await asyncio.gather(*(connect_some(range(k, self._target.users, OPENING_TASKS)) for k in range(OPENING_TASKS)))

    async def wait(self) -> None:
        """Poll on every connection; return when all of them wait at the gateway, or raise TimeoutError."""
        for reader in self._readers:
            reader.poll()
        deadline = perf_counter() + WAITING_TIMEOUT_S
        while perf_counter() < deadline:
            if sum(samples(await read_page(self._client), "bellwire_polls_open").values()) >= len(self._readers):
                return
            await asyncio.sleep(CHECK_INTERVAL_S)
        raise TimeoutError("not all polls wait at the gateway")

    async def times(self, send: bytes) -> list[float]:
        """Send a message; return the time of its parsing by each reader, the earliest first. A lost poll raises ConnectionError."""
        answers = [reader.waiting for reader in self._readers if reader.waiting is not None]
        await self._client.request(send)
        await asyncio.gather(*answers)
        return sorted(reader.parsed_at for reader in self._readers)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        for reader in self._readers:
            reader.abort()
