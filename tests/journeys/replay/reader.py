"""A long poll of one person, opened again and again with the cursor of the last answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

import msgspec

from bench.load.client import Client, raw_request

POLL_TIMEOUT_S = 25.0  # below the 30 s after which many proxies end a poll


class Event(msgspec.Struct):
    """An event; its data is not decoded."""

    type: str
    data: msgspec.Raw


class Events(msgspec.Struct):
    """A poll's answer."""

    events: list[Event]
    cursor: str
    more: bool = False


_DECODER = msgspec.json.Decoder(Events)


class Reader:
    """Polls for a person from the cursor of `/state` on, and calls `on_event` for each event with the time it was parsed."""

    def __init__(self, port: int, token: str, on_event: Callable[[Event, float], None]) -> None:
        """Connect at the first poll, over a connection of its own."""
        self._client, self._token, self._on_event = Client(port), token, on_event
        self._task: asyncio.Task[None] | None = None
        self.cursor = ""
        self.failed = 0

    async def read_cursor(self, client: Client) -> None:
        """Read the current cursor without a poll, so that the person does not count as looking."""
        self.cursor = (await client.call("GET", "/api/v1/state", self._token))["cursor"]

    def start(self) -> None:
        """Poll from now on, after `read_cursor`."""
        self._task = asyncio.create_task(self._poll_until_cancelled())

    async def stop(self) -> None:
        """End the poll."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._client.close()

    async def catch_up(self) -> None:
        """Read everything after the cursor, then return."""
        while await self.poll(0):
            pass
        self._client.close()

    async def poll(self, timeout_s: float) -> int:
        """Poll once; return the number of events. Raise ConnectionError when the status is not 200."""
        path = f"/api/v1/events?cursor={self.cursor}&timeout={timeout_s:g}"
        answer = await self._client.request(raw_request("GET", path, self._token), timeout_s + 30)
        if answer.status != 200:
            raise ConnectionError(f"a poll was answered {answer.status} {answer.text}")
        page = _DECODER.decode(answer.body)
        self.cursor = page.cursor
        now = perf_counter()
        for event in page.events:
            self._on_event(event, now)
        return len(page.events) or page.more

    async def _poll_until_cancelled(self) -> None:
        while True:
            try:
                await self.poll(POLL_TIMEOUT_S)
            except OSError:
                self.failed += 1
                await asyncio.sleep(0.1)
