"""The client that blocks, for scripts and threads."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
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


class Client(Calls):
    """Calls that wait for their answer. It may be shared by threads, and is best used in a `with`.

    `http` is an httpx client with settings of its own (certificates, a proxy); it is closed with this one.
    """

    def __init__(
        self, url: str, token: str | None = None, *, patience_s: float = PATIENCE_S, http: httpx.Client | None = None
    ) -> None:
        super().__init__(url, token, patience_s)
        self._http = http or httpx.Client()
        self._reporter = ThreadPoolExecutor(1, "bellwire-telemetry")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Reports what is left of the measurements, and closes the connections."""
        self._reporter.shutdown(cancel_futures=True)
        if rest := self.telemetry.rest():
            self._report(rest)
        self._http.close()

    def events(
        self,
        cursor: str | None = None,
        *,
        types: Collection[str] = (),
        follow_posts: bool = False,
        transport: Transport = "poll",
    ) -> Events:
        """What happens after a cursor (`begin`: all that is kept), in order and for ever; only these types, if any are given.

        Without a cursor, and when it has expired, a `Reset` with the state of now comes first. Iterating waits while the server is
        away, and raises UnauthorizedError when the token is dead. The transport `ws` needs `bellwire-client[ws]`.
        """
        return Events(self, cursor, types, follow_posts, transport)

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """The items of a list."""
        while not pages.is_over:
            yield from self.run(pages.load())

    def run(self, steps: Steps[T]) -> T:
        """Takes the steps of a call, and returns what it gives."""
        try:
            step = next(steps)
            while True:
                try:
                    found = self._take(step)
                except UnreachableError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(found)
        except StopIteration as end:
            return cast("T", end.value)

    def _take(self, step: Step) -> Any:
        match step:
            case Request(stream=""):
                with reaching(self.url):
                    return answer_of(self._http.send(request_of(self._http, self.url, self.token, step)))
            case Request(stream="sse"):
                return self._open(step)
            case Request():
                from bellwire_client.sockets import open_socket  # an extra, which needs a package of its own

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
        with reaching(self.url):
            response = self._http.send(request_of(self._http, self.url, self.token, step), stream=True)
            if response.is_success:
                return Answer(response.status_code, response.headers, None, Stream(self.url, response))
            response.read()
            return answer_of(response)

    def _report(self, seconds: list[float]) -> None:
        step = Request("POST", "/telemetry/send", {"seconds": seconds}, timeout_s=REPORT_WITHIN_S)
        with suppress(UnreachableError):
            self._take(step)


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        self._bytes = response.iter_bytes()

    def receive(self) -> bytes:
        """What comes next. Raises UnreachableError at its end."""
        with reaching(self._url):
            received = next(self._bytes, b"")
        if not received:
            raise UnreachableError("the stream ended")
        return received

    def close(self) -> None:
        """Hangs up."""
        self._response.close()


class Events(Feed):
    """Events as they come. Iterating again goes on from `cursor`."""

    def __init__(self, client: Client, *asked: Any) -> None:
        super().__init__(*asked)
        self._client = client

    def __iter__(self) -> Iterator[Event | Reset]:
        try:
            while True:
                for place, event in self._client.run(self.load()):
                    self.cursor = place
                    if event is not None:
                        yield event
        finally:
            self._client.run(self.close())
