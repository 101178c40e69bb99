"""The blocking client, for scripts and threads."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self, TypeVar, cast

import httpx

from bellwire_client.admin import Admin
from bellwire_client.calls import PATIENCE_S, Calls
from bellwire_client.errors import UnreachableError
from bellwire_client.following import Feed, Transport
from bellwire_client.paging import Pages
from bellwire_client.shapes import Event, Reset
from bellwire_client.steps import Answer, Close, Pause, Receive, Report, Request, Step, Steps
from bellwire_client.wire import REPORT_TIMEOUT_S, answer_of, connection_errors, request_of

T = TypeVar("T")


class Client(Calls):
    """A client whose calls wait for their answers. Threads may share it. Use it in a `with` statement.

    `http` is an httpx client with its own settings, such as certificates or a proxy. It is closed with this client.
    """

    def __init__(
        self, url: str, token: str | None = None, *, patience_s: float = PATIENCE_S, http: httpx.Client | None = None
    ) -> None:
        super().__init__(url, token, patience_s)
        self.admin = Admin(self)
        self._http = http or httpx.Client()
        self._reporter = ThreadPoolExecutor(1, "bellwire-telemetry")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Report the remaining send durations, and close the connections."""
        self._reporter.shutdown(cancel_futures=True)
        if seconds := self.telemetry.collect_all():
            self._report(seconds)
        self._http.close()

    def events(
        self,
        cursor: str | None = None,
        *,
        types: Collection[str] = (),
        follow_posts: bool = False,
        transport: Transport = "poll",
        cursor_file: str | os.PathLike[str] | None = None,
    ) -> Events:
        """Return the events after a cursor, in order and without an end; after `begin`, all events that are kept.

        With `types`, only events of these types. Without a cursor, and when it has expired, a `Reset` with the present state
        comes first. Iterating waits while the server cannot be reached, and raises UnauthorizedError when the token is no
        longer valid. The transport `ws` needs the package websockets, the extra `ws`.

        With `cursor_file` the cursor is kept in this file: the next run continues after the last event whose handling ended. An
        event during which the program was killed comes again.
        """
        return Events(self, cursor, types, follow_posts, transport, cursor_file)

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """Yield the items of a list, page by page."""
        while not pages.is_over:
            yield from self.run(pages.load())

    def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        try:
            step = next(steps)
            while True:
                try:
                    result = self._perform(step)
                except UnreachableError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return cast("T", end.value)

    def _perform(self, step: Step) -> Any:
        match step:
            case Request(stream=""):
                with connection_errors(self.url):
                    return answer_of(self._http.send(request_of(self._http, self.url, self.token, step, self._acting_as)))
            case Request(stream="sse" | "file"):
                return self._open(step)
            case Request():
                from bellwire_client.sockets import open_socket  # this module needs the extra `ws`

                return open_socket(self.url, self.token, step)
            case Receive(link):
                return link.receive()
            case Close(link):
                return link.close()
            case Pause(seconds):
                return time.sleep(seconds)
            case Report(seconds):
                return self._reporter.submit(self._report, seconds)

    def _open(self, step: Request) -> Answer:
        with connection_errors(self.url):
            response = self._http.send(request_of(self._http, self.url, self.token, step, self._acting_as), stream=True)
            if response.is_success:
                return Answer(response.status_code, response.headers, None, Stream(self.url, response))
            response.read()
            return answer_of(response)

    def _report(self, seconds: list[float]) -> None:
        step = Request("POST", "/telemetry/send", {"seconds": seconds}, timeout_s=REPORT_TIMEOUT_S)
        with suppress(UnreachableError):
            self._perform(step)


class Stream:
    """An open stream of server-sent events, or of the bytes of a file."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        self._bytes = response.iter_bytes()

    def receive(self) -> bytes:
        """Return the next bytes, none at the end. Raises UnreachableError if they break off."""
        with connection_errors(self._url):
            return next(self._bytes, b"")

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


class Events(Feed):
    """Events as they arrive. A new iteration continues after `cursor`."""

    def __init__(self, client: Client, *options: Any) -> None:
        super().__init__(*options)
        self._client = client

    def __iter__(self) -> Iterator[Event | Reset]:
        try:
            while True:
                for cursor, event in self._client.run(self.load()):
                    self.cursor = cursor
                    if event is not None:
                        yield event
                    self.save()
        finally:
            self._client.run(self.close())
