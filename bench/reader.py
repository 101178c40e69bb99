"""One person's long poll, held again and again, the cursor passed back: what a good client does."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec

from bench.client import Client, raw_request

POLL_S = 25.0  # below the 30 s after which many proxies end a poll


class Event(msgspec.Struct):
    """An event; its data is decoded by who wants it."""

    type: str
    data: msgspec.Raw

    def decoded(self) -> dict[str, Any]:
        """Return the data."""
        return msgspec.json.decode(self.data, type=dict[str, Any])


class Events(msgspec.Struct):
    """A poll's answer."""

    events: list[Event]
    cursor: str
    more: bool = False


_DECODER = msgspec.json.Decoder(Events)


class Reader:
    """Polls for a person from the cursor of `/state` on, and hands each event on with the time it was parsed."""

    def __init__(self, client: Client, token: str, on_event: Callable[[Event, float], None]) -> None:
        """Take a client of its own: a held poll keeps its connection."""
        self._client, self._token, self._on_event = client, token, on_event
        self._task: asyncio.Task[None] | None = None
        self.cursor = ""
        self.failed = 0
        self.first_failure = ""

    async def remember(self, client: Client) -> None:
        """Learn the cursor of now without polling, so without being seen to look."""
        self.cursor = (await client.call("GET", "/api/v1/state", self._token))["cursor"]

    def start(self) -> None:
        """Hold a poll from now on, after `remember`."""
        self._task = asyncio.create_task(self._poll_for_ever())

    async def stop(self) -> None:
        """End the poll."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._client.close()

    async def catch_up(self) -> None:
        """Read all there is after the cursor, then return."""
        while await self.poll(0):
            pass
        self._client.close()

    async def poll(self, timeout_s: float) -> int:
        """Poll once; return how many events came. Raises ConnectionError for anything but 200."""
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

    async def _poll_for_ever(self) -> None:
        while True:
            try:
                await self.poll(POLL_S)
            except OSError as error:
                self.failed += 1
                self.first_failure = self.first_failure or str(error)
                await asyncio.sleep(0.1)
