"""The client for an event loop (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any, Self, TypeVar, cast

import httpx

from bellwire_client.calls import PATIENCE_S, Calls
from bellwire_client.errors import UnreachableError
from bellwire_client.following import Feed, Transport
from bellwire_client.paging import Pages
from bellwire_client.shapes import Event, Reset
from bellwire_client.steps import Answer, Close, Pause, Receive, Report, Request, Step, Steps
from bellwire_client.wire import REPORT_WITHIN_S, answer_of, reaching, request_of

T = TypeVar("T")


class AsyncClient(Calls):
    """Calls to be awaited; lists and events to be iterated over with `async for`. Best used in an `async with`.

    `http` is an httpx client with settings of its own (certificates, a proxy); it is closed with this one.
    """

    def __init__(
        self, url: str, token: str | None = None, *, patience_s: float = PATIENCE_S, http: httpx.AsyncClient | None = None
    ) -> None:
        super().__init__(url, token, patience_s)
        self._http = http or httpx.AsyncClient()
        self._reports: set[asyncio.Task[None]] = set()  # the loop itself keeps no hold on tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Reports what is left of the measurements, and closes the connections."""
        if rest := self.telemetry.rest():
            self._report_beside(rest)
        await asyncio.gather(*self._reports)
        await self._http.aclose()

    def events(
        self,
        cursor: str | None = None,
        *,
        types: Collection[str] = (),
        follow_posts: bool = False,
        transport: Transport = "poll",
    ) -> AsyncEvents:
        """What happens, as `Client.events` has it."""
        return AsyncEvents(self, cursor, types, follow_posts, transport)

    async def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """The items of a list."""
        while not pages.is_over:
            for item in await self.run(pages.load()):
                yield item

    async def run(self, steps: Steps[T]) -> T:
        """Takes the steps of a call, and returns what it gives."""
        try:
            step = next(steps)
            while True:
                try:
                    found = await self._take(step)
                except UnreachableError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(found)
        except StopIteration as end:
            return cast("T", end.value)

    async def _take(self, step: Step) -> Any:
        match step:
            case Request(stream=""):
                with reaching(self.url):
                    return answer_of(await self._http.send(request_of(self._http, self.url, self.token, step)))
            case Request(stream="sse"):
                return await self._open(step)
            case Request():
                from bellwire_client.sockets import open_async_socket  # an extra, which needs a package of its own

                return await open_async_socket(self.url, self.token, step)
            case Receive(link):
                return await link.receive()
            case Close(link):
                return await link.close()
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Report(seconds):
                return self._report_beside(seconds)

    async def _open(self, step: Request) -> Answer:
        with reaching(self.url):
            response = await self._http.send(request_of(self._http, self.url, self.token, step), stream=True)
            if response.is_success:
                return Answer(response.status_code, response.headers, None, AsyncStream(self.url, response))
            await response.aread()
            return answer_of(response)

    def _report_beside(self, seconds: list[float]) -> None:
        task = asyncio.create_task(self._report(seconds))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, seconds: list[float]) -> None:
        step = Request("POST", "/telemetry/send", {"seconds": seconds}, timeout_s=REPORT_WITHIN_S)
        with suppress(UnreachableError):
            await self._take(step)


class AsyncStream:
    """An open stream of server-sent events."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        self._bytes = response.aiter_bytes()

    async def receive(self) -> bytes:
        """What comes next. Raises UnreachableError at its end."""
        with reaching(self._url):
            received = await anext(self._bytes, b"")
        if not received:
            raise UnreachableError("the stream ended")
        return received

    async def close(self) -> None:
        """Hangs up."""
        await self._response.aclose()


class AsyncEvents(Feed):
    """Events as they come. Iterating again goes on from `cursor`."""

    def __init__(self, client: AsyncClient, *asked: Any) -> None:
        super().__init__(*asked)
        self._client = client

    async def __aiter__(self) -> AsyncIterator[Event | Reset]:
        try:
            while True:
                for place, event in await self._client.run(self.load()):
                    self.cursor = place
                    if event is not None:
                        yield event
        finally:
            await self._client.run(self.close())
