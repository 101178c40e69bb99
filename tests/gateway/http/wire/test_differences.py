"""The same bytes for both wires: equal answers, but for the refusals that rules.py lists, and never more answers than requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from random import Random

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.hostile.requests import Bytes, Call, connection
from tests.gateway.http.wire.both import Both, desync, on_the_new_wire, on_tornado, serving
from tests.gateway.http.wire.echo import EchoApplication
from tests.gateway.http.wire.exchanges import FIRST_PATIENCE_S, Answer, Outcome, answers_in, exchange
from tests.gateway.http.wire.proxies import Front
from tests.gateway.http.wire.rules import difference
from tests.gateway.http.wire.toys import ToyServer

PATHS = ("/echo", "/late", "/parts", "/empty", "/reader", "/early")
CALLS = tuple(Call(path, body) for path in PATHS for body in (b"hello", b"x" * 70_000))
ODDITIES = (0, 0.02, 0.1, 0.3)
HYPOTHESIS_CONNECTIONS, SEEDED_CONNECTIONS, SEED = 80, 400, 1

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
INSIDE = b"0\r\n\r\n" + SMUGGLED  # the end of a chunked body, and more
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)

UNENDED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def smuggling(headers: str, content: bytes) -> Bytes:
    return Bytes((f"POST /echo HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode() + content,), "stay")


SMUGGLING = {  # name -> (the mistake of a server behind, bytes that another server in front believes to be one request)
    "length in front": (
        Front("toy", both="encoding"),
        smuggling(f"Content-Length: {len(INSIDE)}\r\nTransfer-Encoding: chunked\r\n", INSIDE),
    ),
    "encoding in front": (Front("toy", both="length"), smuggling("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", CHUNK)),
    "first length in front": (
        Front("toy", lengths="last"),
        smuggling(f"Content-Length: {len(SMUGGLED)}\r\nContent-Length: 0\r\n", SMUGGLED),
    ),
    "last length in front": (
        Front("toy", lengths="first"),
        smuggling(f"Content-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\n", SMUGGLED),
    ),
    "an unknown encoding": (
        Front("toy", both="encoding", loose_encoding=True),
        smuggling(f"Content-Length: {len(INSIDE)}\r\nTransfer-Encoding: xchunked\r\n", INSIDE),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Tornado logs each malformed request."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        yield running


@pytest.fixture(scope="module")
def both(runner: asyncio.Runner) -> Iterator[Both]:
    first, second = serving(on_tornado, EchoApplication()), serving(on_the_new_wire, EchoApplication())
    yield Both((runner.run(first.__aenter__()), runner.run(second.__aenter__())))
    runner.run(first.__aexit__(None, None, None))
    runner.run(second.__aexit__(None, None, None))


def generated(random: Random) -> Bytes:
    return connection(random, CALLS, random.choice(ODDITIES))


@settings(max_examples=HYPOTHESIS_CONNECTIONS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_both_wires_answer_the_same_bytes_in_the_same_way(runner: asyncio.Runner, both: Both, random: Random) -> None:
    both.found.clear()
    runner.run(both.compare(generated(random)))
    assert not both.found, both.found[0]


def test_more_of_them(runner: asyncio.Runner, both: Both) -> None:
    async def scenario() -> None:
        random = Random(SEED)
        for _ in range(SEEDED_CONNECTIONS):
            await both.compare(generated(random))

    both.found.clear()
    runner.run(scenario())
    assert not both.found, both.found[0]


@pytest.mark.parametrize("name", SMUGGLING)
def test_no_server_in_front_is_answered_more_often_than_it_asked(runner: asyncio.Runner, both: Both, name: str) -> None:
    front, sent = SMUGGLING[name]
    for port in both.ports:
        outcome = runner.run(exchange(port, sent))
        assert not desync(sent, outcome)
        assert outcome.closed

    async def scenario() -> Outcome:
        async with serving(lambda front: ToyServer(front), front) as port:
            return await exchange(port, sent)

    assert desync(sent, runner.run(scenario())), "a server that makes this mistake would not be noticed"


@pytest.mark.parametrize("size", ["4", "0004", "000000004", "00000000000000000004", "8000000000000000", "100000004"])
def test_a_content_that_looks_like_a_size_is_none(runner: asyncio.Runner, both: Both, size: str) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    both.found.clear()
    runner.run(both.compare(Bytes((head + size.encode() + b"\r\nff\r\n\r\n0\r\n\r\n" + SMUGGLED,), "stay")))
    assert not both.found, both.found[0]


def test_a_refusal_is_not_written_into_an_answer(runner: asyncio.Runner, both: Both) -> None:
    head = b"POST /begun HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = runner.run(exchange(both.ports[1], Bytes((head, b"wrong\r\n"), "stay"), FIRST_PATIENCE_S))
    assert [(answer.status, answer.body) for answer in outcome.answers] == [(200, b"begun")]
    assert outcome.answers[0].framing  # the client knows that it is not complete
    assert outcome.closed


def test_the_comparison_knows_what_is_meant() -> None:
    accepted = Outcome([Answer(200, ["content-length: 5"], b"hello")], 1, closed=False, closed_after_last=True)
    refused = Outcome([Answer(400, [], b"")], 1, closed=True, closed_after_last=True)
    folded, plain = b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    assert not difference(folded, accepted, refused)
    assert difference(folded, refused, accepted)  # more lenient than Tornado: never meant
    assert difference(plain, accepted, refused)
    assert difference(folded, accepted, Outcome([Answer(400, [], b"")], 1, closed=False))  # not closed
    assert difference(
        plain, accepted, Outcome([Answer(200, ["content-length: 5"], b"hella")], 1, closed=False, closed_after_last=True)
    )


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\n\r\n", UNENDED]
)
def test_the_comparison_notices_a_wrong_frame(data: bytes) -> None:
    (answer,) = answers_in(data)
    assert answer.framing
