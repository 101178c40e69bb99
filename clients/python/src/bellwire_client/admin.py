"""The calls of administrators for each client, with which a product embeds Bellwire: `client.admin`, and the log."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from bellwire_client.admin_calls import AdminCalls
from bellwire_client.errors import UnexpectedAnswerError
from bellwire_client.following import POLL_SLACK_S, POLL_TIMEOUT_S, SERVER_ERRORS
from bellwire_client.paging import Pages
from bellwire_client.reading import read
from bellwire_client.shapes import LoggedEvent
from bellwire_client.steps import Request, Steps, send_with_retries

if TYPE_CHECKING:
    from bellwire_client.aio import AsyncClient
    from bellwire_client.client import Client

T = TypeVar("T")


class Log:
    """The whole log after a cursor, without an end.

    `cursor` is the place after the last event that was yielded. Who stores it in the transaction that applies the event has each
    event exactly once: `log(cursor=stored)` continues there. Raises ProblemError with the status 410 when it has expired.
    """

    def __init__(self, client: Any, cursor: str | None, types: Collection[str], limit: int | None) -> None:
        self.cursor = cursor
        self._client = client
        self._params = {"types": ",".join([types] if isinstance(types, str) else types) or None, "limit": limit}

    def load(self) -> Steps[list[tuple[str, LoggedEvent | None]]]:
        """Wait for events and return them, each with the cursor after it. Repeats failed calls until the server answers."""
        params = {**self._params, "cursor": self.cursor, "timeout": POLL_TIMEOUT_S}
        request = Request("GET", "/admin/log", params=params, timeout_s=POLL_TIMEOUT_S + POLL_SLACK_S)
        body = (yield from send_with_retries(request, math.inf, SERVER_ERRORS)).body
        if not isinstance(body, dict) or "cursor" not in body:
            raise UnexpectedAnswerError("this is not the log of Bellwire: is the address right?")
        events = [read(LoggedEvent, event) for event in body["events"]]
        return [*((str(event.id), event) for event in events), (body["cursor"], None)]

    def __iter__(self) -> Iterator[LoggedEvent]:
        while True:
            for cursor, event in self._client.run(self.load()):
                self.cursor = cursor
                if event is not None:
                    yield event

    async def __aiter__(self) -> AsyncIterator[LoggedEvent]:
        while True:
            for cursor, event in await self._client.run(self.load()):
                self.cursor = cursor
                if event is not None:
                    yield event


class Admin(AdminCalls):
    """The calls of administrators for `Client`."""

    _client: Client

    def log(self, cursor: str | None = None, *, types: Collection[str] = (), limit: int | None = None) -> Log:
        """Return the events of all streams after a cursor; after `begin`, all that are kept; without one, those to come. `types`
        are names or patterns, such as `message.*`; `limit` is the most that one poll answers, up to 1,000."""
        return Log(self._client, cursor, types, limit)

    def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        return self._client.run(steps)

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """Yield the items of a list, page by page."""
        return self._client.each(pages)


class AsyncAdmin(AdminCalls):
    """The calls of administrators for `AsyncClient`."""

    _client: AsyncClient

    def log(self, cursor: str | None = None, *, types: Collection[str] = (), limit: int | None = None) -> Log:
        """Return the events of all streams, as `Client.admin.log` does, for `async for`."""
        return Log(self._client, cursor, types, limit)

    async def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        return await self._client.run(steps)

    def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Yield the items of a list, page by page."""
        return self._client.each(pages)
