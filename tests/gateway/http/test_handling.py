"""A whole answer is what Tornado would have written, and a handler runs and fails as Tornado's does."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado import web
from tornado.httputil import HTTPConnection, HTTPHeaders, RequestStartLine, ResponseStartLine

from gateway.http import handling
from gateway.http.connections import AnswerConnection
from gateway.http.handling import DateHeader, LeanHandler
from gateway.http.routing import Request

Step = Callable[[LeanHandler], object]


class Written(HTTPConnection):
    """Keeps what Tornado writes."""

    def __init__(self, method: str = "POST") -> None:
        self.method, self.data, self.ends, self.heads = method, b"", 0, 0

    def set_close_callback(self, callback: object) -> None:
        """Tornado's method."""

    def write_headers(self, start_line: Any, headers: HTTPHeaders, chunk: bytes | None = None) -> asyncio.Future[None]:
        """Tornado's method."""
        assert isinstance(start_line, ResponseStartLine)
        self.heads += 1
        lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}", *(f"{name}: {value}" for name, value in headers.get_all())]
        self.data += "\r\n".join([*lines, "", ""]).encode("latin1") + (chunk or b"")
        return done()

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Tornado's method."""
        self.data += chunk
        return done()

    def finish(self) -> None:
        """Tornado's method."""
        self.ends += 1

    def read(self) -> tuple[str, list[str], bytes]:
        """Status line, headers in any order, and body."""
        head, _, body = self.data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin1").split("\r\n")
        return status, sorted(lines), body


class Whole(Written, AnswerConnection):
    """Keeps whole answers, too."""

    answers = 0

    def answer(self, head: bytes, body: bytes) -> asyncio.Future[None]:
        """Write and end the answer."""
        self.answers += 1
        self.data += head + b"\r\n" + (b"" if self.method == "HEAD" else body)
        self.ends += 1
        return done()


def done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


class Scripted(LeanHandler):
    """Runs a script. `finished` counts the ends of its answer."""

    script: Step
    finished = 0

    def initialize(self, script: Step) -> None:
        """Tornado's hook."""
        self.script = script

    def compute_etag(self) -> None:
        """Tornado's hook."""

    def post(self) -> Any:
        """Run the script."""
        return self.script(self)

    get = head = post

    def on_finish(self) -> None:
        """Count."""
        self.finished += 1

    def log_exception(self, *_: object) -> None:
        """Tornado's hook."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """A loop."""
    with asyncio.Runner() as runner:
        yield runner


def handler(connection: Written, script: Step, headers: dict[str, str] | None = None) -> Scripted:
    application: Any = SimpleNamespace(
        settings={"request_ids": map("own-{}".format, itertools.count(1))}, ui_methods={}, ui_modules={}, log_request=lambda _: None
    )
    line = RequestStartLine(connection.method, "/x", "HTTP/1.1")
    return Scripted(application, Request(connection, None, line, HTTPHeaders({"Host": "a", **(headers or {})})), script=script)


async def run(connection: Written, script: Step, headers: dict[str, str] | None = None) -> Scripted:
    """Run a handler with this script, and return it."""
    made = handler(connection, script, headers)
    await made.run([])
    assert made not in handling._running
    return made


NAMES = ("Vary", "Allow", "retry-after", "WWW-Authenticate", "Content-Type", "Cache-Control", "X-Accel-Buffering", "content-type")
VALUES = st.text("aé,; =", max_size=3).map(lambda text: f"a{text}a")
HEADER_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda name, value: lambda it: it.set_header(name, value), st.sampled_from(NAMES), VALUES),
    st.builds(lambda name: lambda it: it.clear_header(name), st.sampled_from(NAMES)),
    st.builds(lambda status: lambda it: it.set_status(status), st.sampled_from([200, 201, 204, 404, 429, 503])),
    st.just(lambda it: it.set_status(422, "Unprocessable Entity")),
    st.just(lambda it: it.add_header("Vary", "Cookie")),
    st.just(lambda it: it.set_cookie("name", "value")),
    st.just(lambda it: it.clear()),
    st.just(lambda it: it.write(b"part")),
)
BODIES = st.none() | st.binary(max_size=8) | st.text(max_size=4)


@given(
    st.lists(HEADER_STEPS, max_size=5),
    BODIES,
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from([{}, {"X-Request-Id": "mine"}, {"X-Request-Id": "not one\x7f"}]),
)
def test_a_whole_answer_is_what_tornado_would_write(
    runner: asyncio.Runner, steps: list[Step], body: Any, method: str, headers: dict[str, str]
) -> None:
    def script(it: LeanHandler) -> None:
        for step in steps:
            step(it)
        it.finish(body)

    async def both() -> None:
        while True:
            whole, written, second = Whole(method), Written(method), DateHeader.now()
            ours, theirs = await run(whole, script, headers), await run(written, script, headers)
            if DateHeader.now() == second:
                break
        assert whole.read() == written.read()
        assert whole.ends == written.ends == 1
        assert ours.finished == theirs.finished == 1

    runner.run(both())


def test_an_answer_in_the_usual_form_is_one_write_without_headers_of_tornados(runner: asyncio.Runner) -> None:
    def script(it: LeanHandler) -> None:
        it.set_status(201)
        it.set_header("Vary", "Origin")
        it.finish(b"{}")

    async def plain() -> None:
        connection = Whole()
        it = await run(connection, script)
        assert (connection.answers, connection.heads, it._answer_headers) == (1, 0, None)
        status, lines, body = connection.read()
        assert (status, body) == ("HTTP/1.1 201 Created", b"{}")
        assert "Content-Length: 2" in lines
        assert "X-Request-Id: own-1" in lines

    runner.run(plain())


@pytest.mark.parametrize("status", [101, 304])
def test_an_answer_of_its_own_kind_is_tornados(runner: asyncio.Runner, status: int) -> None:
    def script(it: LeanHandler) -> None:
        it.set_status(status)
        it.finish()

    async def unusual() -> None:
        connection = Whole()
        await run(connection, script)
        assert (connection.answers, connection.heads) == (0, 1)

    runner.run(unusual())


def test_a_part_of_an_answer_that_was_written_is_not_written_again(runner: asyncio.Runner) -> None:
    async def script(it: LeanHandler) -> None:
        it.write(b"a")
        await it.flush()
        it.finish(b"b")

    async def streamed() -> None:
        connection = Whole()
        await run(connection, cast(Step, script))
        assert (connection.answers, connection.heads, connection.read()[2]) == (0, 1, b"ab")

    runner.run(streamed())


def test_the_date_of_an_answer_is_that_of_its_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for second, text in ((0, b"Date: Thu, 01 Jan 1970 00:00:00 GMT"), (3600, b"Date: Thu, 01 Jan 1970 01:00:00 GMT")):
        monkeypatch.setattr(time, "time", lambda now=second: now + 0.5)
        assert text in DateHeader.head(200, "OK", "text/plain")
        assert b"\nContent-Type" not in DateHeader.head(204, "No Content", "")
        assert len(DateHeader.heads) == 2


def test_a_handler_fails_as_tornados_does(runner: asyncio.Runner) -> None:
    def fail(_: LeanHandler) -> None:
        raise KeyError

    def refuse(_: LeanHandler) -> None:
        raise web.HTTPError(403)

    def fail_late(it: LeanHandler) -> None:
        it.finish(b"{}")
        raise KeyError

    async def all_of_them() -> None:
        for script, status in ((fail, 500), (refuse, 403), (fail_late, 200)):
            connection = Whole()
            it = await run(connection, script)
            assert (it.get_status(), connection.ends, it.finished) == (status, 1, 1)
        connection = Whole("BREW")
        assert (await run(connection, fail)).get_status() == 405
        connection = Whole()
        await run(connection, lambda _: None)
        assert connection.read()[2] == b""  # a verb that answers nothing
        assert connection.ends == 1

    runner.run(all_of_them())


def test_a_handler_whose_task_is_cancelled_answers_500(runner: asyncio.Runner) -> None:
    async def wait(_: LeanHandler) -> None:
        await asyncio.get_running_loop().create_future()

    async def cancelled() -> None:
        connection = Whole()
        made = handler(connection, cast(Step, wait))
        task = made.run([])
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (made.get_status(), connection.ends) == (500, 1)
        assert made not in handling._running

    runner.run(cancelled())
