"""Bodies that are read while they arrive, and clients that still send when they are answered. Tests advance the time."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from gateway.http import lingering, streaming
from gateway.http.errors import ProblemError
from gateway.http.lingering import Lingering
from gateway.http.streaming import MAX_BODY_S, MIN_BYTES_PER_S, SILENCE_S, BodyStreamer, StreamedBody
from tests.waiting import until_async

LIMIT = 10_000


def test_the_verb_is_woken_once_for_a_batch() -> None:
    async def scenario() -> None:
        body = StreamedBody()
        reading = asyncio.ensure_future(body.read(100, LIMIT))
        await body.begun()
        assert [body.add(b"a" * 40), body.add(b"b" * 40)] == [None, None]
        waiting = body.add(b"c" * 40)
        assert await reading == b"a" * 40 + b"b" * 40 + b"c" * 40
        assert waiting is not None
        await waiting
        assert body.add(b"d") is None
        body.complete()
        assert [await body.read(100, LIMIT), await body.read(100, LIMIT)] == [b"d", b""]

    asyncio.run(scenario())


def test_a_batch_that_waits_is_read_although_later_ones_are_to_be_larger() -> None:
    async def scenario() -> None:
        body = StreamedBody()
        reading = asyncio.ensure_future(body.read(10, LIMIT))
        await body.begun()
        body.add(b"a" * 10)
        assert await reading == b"a" * 10
        waiting = body.add(b"b" * 20)
        assert await body.read(1000, LIMIT) == b"b" * 20
        assert waiting is not None
        await waiting

    asyncio.run(scenario())


def test_what_is_beyond_the_limit_is_read_at_once() -> None:
    async def scenario() -> None:
        body = StreamedBody()
        reading = asyncio.ensure_future(body.read(1000, 5))
        await body.begun()
        body.add(b"a" * 6)
        assert (await reading, body.received) == (b"a" * 6, 6)

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [None, ProblemError("unavailable", "stops")])
def test_a_body_that_ends_early_wakes_all_who_wait(error: ProblemError | None) -> None:
    async def scenario() -> None:
        body = StreamedBody()
        reading = asyncio.ensure_future(body.read(10, LIMIT))
        await body.begun()
        body.end(error)
        body.end()
        with pytest.raises(ProblemError) as raised:
            await reading
        assert raised.value.slug == (error.slug if error else "malformed")

        body = StreamedBody()
        body.end()
        await body.begun()
        waiting = body.add(b"x" * 10)
        assert waiting is not None
        body.end()
        await waiting

    asyncio.run(scenario())


def test_a_complete_body_has_no_end_before() -> None:
    async def scenario() -> None:
        body = StreamedBody()
        body.complete()
        body.end()
        assert await body.read(10, LIMIT) == b""

    asyncio.run(scenario())


class Receiving:
    """A connection whose time a test advances."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(streaming.time, "monotonic", lambda: self.now)
        self.deadlines: dict[object, float] = {}
        self.streamer = BodyStreamer.__new__(BodyStreamer)
        self.body = self.streamer._body = StreamedBody()
        self.streamer._deadlines, self.streamer._deadline = self.deadlines, 0.0
        self.streamer._ends_at = self.now + MAX_BODY_S
        self.streamer.request = cast(Any, self)
        self.server_connection = "connection"

    @property
    def left_s(self) -> float | None:
        """The time until the client is disconnected; None while it is not its fault."""
        deadline = self.deadlines.get(self.server_connection)
        return None if deadline is None else round(deadline - self.now, 3)


def test_a_deadline_moves_with_what_arrives_and_stops_while_the_verb_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        receiving = Receiving(monkeypatch)
        streamer, body = receiving.streamer, receiving.body
        reading = asyncio.ensure_future(body.read(300_000, 1 << 40))
        await streamer._expect()
        assert receiving.left_s == SILENCE_S
        receiving.now += 10
        streamer.data_received(b"x" * MIN_BYTES_PER_S)
        assert receiving.left_s == SILENCE_S - 10 + 1
        streamer.data_received(b"x" * 50 * MIN_BYTES_PER_S)
        assert receiving.left_s == SILENCE_S
        collected = streamer.data_received(b"x" * 100_000)
        assert collected is not None
        await asyncio.gather(reading, collected)

        waiting = streamer.data_received(b"x" * 300_000)
        assert waiting is not None
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        assert receiving.left_s is None
        receiving.now += 100
        await body.read(1000, 1 << 40)
        await task
        assert receiving.left_s == SILENCE_S

        receiving.now += MAX_BODY_S
        streamer.data_received(b"x")
        assert (receiving.left_s or 0) < 0
        streamer.finish()
        assert receiving.left_s is None

    asyncio.run(scenario())


def test_a_client_that_still_sends_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        ours, client = socket.socketpair()
        ours.setblocking(False)
        ours.sendall(b"answer")
        Lingering.begin(ours)
        await asyncio.to_thread(client.sendall, b"x" * 3_000_000)
        assert client.recv(100) == b"answer"
        assert client.recv(100) == b""
        client.close()
        await until_async(lambda: not lingering._lingering)

    asyncio.run(scenario())


@pytest.mark.parametrize("bound", ["MAX_DROPPED_BYTES", "SILENCE_S", "LINGER_S"])
def test_a_client_that_does_not_end_is_disconnected(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(lingering, bound, 0.01 if bound != "MAX_DROPPED_BYTES" else 1000)
        ours, client = socket.socketpair()
        ours.setblocking(False)
        Lingering.begin(ours)
        if bound != "SILENCE_S":
            await asyncio.sleep(0.02)
            client.sendall(b"x" * 2000)
        await until_async(lambda: not lingering._lingering)
        assert ours.fileno() == -1
        client.close()

    asyncio.run(scenario())


def test_of_many_connections_the_oldest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(lingering, "MAX_LINGERING", 2)
        pairs = [socket.socketpair() for _ in range(3)]
        for ours, _ in pairs:
            ours.setblocking(False)
            Lingering.begin(ours)
        assert [ours.fileno() == -1 for ours, _ in pairs] == [True, False, False]
        for waiting in list(lingering._lingering):
            waiting.close()
        for _, client in pairs:
            client.close()

    asyncio.run(scenario())
