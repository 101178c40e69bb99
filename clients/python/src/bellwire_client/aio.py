"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any, Self, TypeVar, cast

import httpx

from bellwire_client.admin import AsyncAdmin
from bellwire_client.calls import PATIENCE_S, Calls
from bellwire_client.errors import UnreachableError
from bellwire_client.following import Feed, Transport
from bellwire_client.paging import Pages
from bellwire_client.shapes import Event, Reset
from bellwire_client.steps import Answer, Close, Pause, Receive, Report, Request, Step, Steps
from bellwire_client.wire import REPORT_TIMEOUT_S, answer_of, connection_errors, request_of

T = TypeVar("T")


class AsyncClient(Calls):
    """A client whose calls are awaited, and whose lists and events are read with `async for`. Use it in an `async with`.

    `http` is an httpx client with its own settings, such as certificates or a proxy. It is closed with this client.
    """

    def __init__(
        self, url: str, token: str | None = None, *, patience_s: float = PATIENCE_S, http: httpx.AsyncClient | None = None
    ) -> None:
        super().__init__(url, token, patience_s)
        self.admin = AsyncAdmin(self)
        self._http = http or httpx.AsyncClient()
        self._reports: set[asyncio.Task[None]] = set()  # asyncio itself has only weak references to tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Report the remaining send durations, and close the connections."""
        if seconds := self.telemetry.collect_all():
            self._start_report(seconds)
        await asyncio.gather(*self._reports)
        await self._http.aclose()

    def events(
        self,
        cursor: str | None = None,
        *,
        types: Collection[str] = (),
        follow_posts: bool = False,
        transport: Transport = "poll",
        cursor_file: str | os.PathLike[str] | None = None,
    ) -> AsyncEvents:
        """Return the events after a cursor, as `Client.events` does."""
        return AsyncEvents(self, cursor, types, follow_posts, transport, cursor_file)

    async def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Yield the items of a list, page by page."""
        while not pages.is_over:
            for item in await self.run(pages.load()):
                yield item

    async def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._perform(step)
                except UnreachableError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return cast("T", end.value)

    async def _perform(self, step: Step) -> Any:
        match step:
            case Request(stream=""):
                with connection_errors(self.url):
                    return answer_of(await self._http.send(request_of(self._http, self.url, self.token, step, self._acting_as)))
            case Request(stream="sse" | "file"):
                return await self._open(step)
            case Request():
                from bellwire_client.sockets import open_async_socket  # this module needs the extra `ws`

                return await open_async_socket(self.url, self.token, step)
            case Receive(link):
                return await link.receive()
            case Close(link):
                return await link.close()
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Report(seconds):
                return self._start_report(seconds)

    async def _open(self, step: Request) -> Answer:
        with connection_errors(self.url):
            response = await self._http.send(request_of(self._http, self.url, self.token, step, self._acting_as), stream=True)
            if response.is_success:
                return Answer(response.status_code, response.headers, None, AsyncStream(self.url, response))
            await response.aread()
            return answer_of(response)

    def _start_report(self, seconds: list[float]) -> None:
        task = asyncio.create_task(self._report(seconds))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, seconds: list[float]) -> None:
        step = Request("POST", "/telemetry/send", {"seconds": seconds}, timeout_s=REPORT_TIMEOUT_S)
        with suppress(UnreachableError):
            await self._perform(step)


class AsyncStream:
    """An open stream of server-sent events, or of the bytes of a file."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        self._bytes = response.aiter_bytes()

    async def receive(self) -> bytes:
        """Return the next bytes, none at the end. Raises UnreachableError if they break off."""
        with connection_errors(self._url):
            return await anext(self._bytes, b"")

    async def close(self) -> None:
        """Close the connection."""
        await self._response.aclose()


class AsyncEvents(Feed):
    """Events as they arrive. A new iteration continues after `cursor`."""

    def __init__(self, client: AsyncClient, *options: Any) -> None:
        super().__init__(*options)
        self._client = client

    async def __aiter__(self) -> AsyncIterator[Event | Reset]:
        try:
            while True:
                for cursor, event in await self._client.run(self.load()):
                    self.cursor = cursor
                    if event is not None:
                        yield event
                    self.save()
        finally:
            await self._client.run(self.close())
