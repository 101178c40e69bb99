"""Polls that wait, inside one process: how they end, and what they keep meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conf import Settings
from gateway.api import open_polls
from gateway.delivery.hub import Hub
from gateway.http.connections import UnsentAnswers
from gateway.http.handling import VALID_REQUEST_ID
from metrics.declared import POLL_SECONDS, POLLS_OPEN
from metrics.latency import Latency
from models.chat.message import Draft
from models.log.event import Event
from tests.gateway.http.test_connections import Serving, serving, store
from tests.journeys.core import token_of
from tests.models.people import credentials, people
from tests.waiting import until_async

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it
__all__ = ["store"]  # on both wires


def polls_open() -> float:
    return float(POLLS_OPEN.labels("poll")._value.get())


def ended(outcome: str) -> float:
    child = POLL_SECONDS.labels(outcome)
    assert isinstance(child, Latency)
    return next(sample.value for sample in child._child_samples() if sample.name == "_count")


class Waiting:
    """A gateway in this process, with some polls of one user, all waiting."""

    def __init__(self, served: Serving, store: Settings) -> None:
        self.hub, self.served = served.services.hub, served
        self.ana, self.ben = people("ana", "ben")
        self.sender = token_of(self.ana)
        self.readers: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        (self.credential,) = credentials(self.ben)
        self.open_before = polls_open()

    async def poll(self, count: int, more: str = "", timeout_s: float = 60) -> None:
        path = f"/api/v1/events?cursor={self.hub.cursor(self.hub.head)}&timeout={timeout_s:g}"
        request = f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {self.credential}\r\n\r\n{more}"
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.served.port)
            writer.write(request.encode())
            self.readers.append((reader, writer))
        await until_async(lambda: polls_open() == self.open_before + len(self.readers))
        await until_async(lambda: len(self.subscriptions()) == len(self.readers))

    def subscriptions(self) -> list[object]:
        subscriber = self.hub.loaded_subscriber(self.ben)
        return [] if subscriber is None else [each for each in subscriber.subscriptions if each._on_wake is not None]

    async def send(self) -> None:
        await self.served.services.committer.post(Draft(self.ana, self.sender, "hi", self.ben)).future

    async def answer(self, number: int) -> tuple[str, bytes]:
        """The status line and the body of a poll's answer."""
        reader, _ = self.readers[number]
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length:"))
        return head.splitlines()[0], await reader.readexactly(int(length))


@asynccontextmanager
async def waiting(store: Settings, count: int) -> AsyncIterator[Waiting]:
    async with serving(store, UnsentAnswers()) as served:
        polls = Waiting(served, store)
        await polls.poll(count)
        try:
            yield polls
        finally:
            for _, writer in polls.readers:
                writer.close()
            await until_async(lambda: polls_open() == polls.open_before)


def test_a_poll_that_waits_keeps_no_task(store: Settings) -> None:
    async def scenario() -> None:
        async with waiting(store, 3):
            names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
            assert not [name for name in names if name.startswith("RequestHandler") or name.endswith("_execute")]
            assert not open_polls._refusing

    asyncio.run(scenario())


def test_an_error_in_one_answer_is_a_500_for_its_reader_only(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, calls = Hub.encode, 0

    def fail_once(hub: Hub, event: Event) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("a defect")
        return encode(hub, event)

    async def scenario() -> None:
        before = ended("gone"), ended("events")
        async with waiting(store, 3) as polls:
            monkeypatch.setattr(Hub, "encode", fail_once)
            await polls.send()
            answers = [await polls.answer(number) for number in range(3)]
            assert sorted(status for status, _ in answers) == ["HTTP/1.1 200 OK"] * 2 + ["HTTP/1.1 500 Internal Server Error"]
            assert [b'"/problems/internal"' in body for status, body in answers if " 500 " in status] == [True]
            assert polls.hub.loaded_subscriber(polls.ben).subscriptions == {}  # type: ignore[union-attr]
        assert (ended("gone"), ended("events")) == (before[0] + 1, before[1] + 2)

    asyncio.run(scenario())


def test_a_client_that_disconnects_ends_its_poll_alone(store: Settings) -> None:
    async def scenario() -> None:
        before = ended("aborted")
        async with waiting(store, 3) as polls:
            polls.readers.pop(0)[1].close()
            await until_async(lambda: polls_open() == polls.open_before + 2)
            assert (len(polls.subscriptions()), ended("aborted")) == (2, before + 1)
            await polls.send()
            assert {(await polls.answer(number))[0] for number in range(2)} == {"HTTP/1.1 200 OK"}

    asyncio.run(scenario())


def test_a_poll_that_waited_is_answered_when_the_gateway_stops_or_its_token_ends_or_the_time_is_over(store: Settings) -> None:
    async def scenario() -> None:
        before = ended("empty"), ended("gone")
        async with waiting(store, 2) as polls:
            polls.hub.end(polls.ben, None, "dead")
            assert {(await polls.answer(number))[0] for number in range(2)} == {"HTTP/1.1 401 Unauthorized"}
            polls.readers.clear()
            await polls.poll(1, timeout_s=0.5)
            status, body = await polls.answer(0)
            assert (status, body[:13]) == ("HTTP/1.1 200 OK", b'{"events":[],')
            polls.readers.clear()
            await polls.poll(2)
            polls.served.services.stopping = True
            polls.hub.close()
            answers = [await polls.answer(number) for number in range(2)]
            assert {(status, body[:13]) for status, body in answers} == {("HTTP/1.1 200 OK", b'{"events":[],')}
        assert (ended("empty"), ended("gone")) == (before[0] + 3, before[1] + 2)

    asyncio.run(scenario())


def test_a_request_behind_a_poll_that_waits_is_answered_after_it(store: Settings) -> None:
    async def scenario() -> None:
        async with waiting(store, 0) as polls:
            await polls.poll(1, more=f"GET /api/v1/me HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {polls.credential}\r\n\r\n")
            await polls.send()
            assert b'"message.created"' in (await polls.answer(0))[1]
            assert b'"username":"ben"' in (await polls.answer(0))[1]

    asyncio.run(scenario())


@pytest.mark.parametrize("more", ["", "X-Request-Id: of-the-client\r\n", "X-Request-Id: not valid\r\n"])
def test_a_poll_that_waited_has_the_same_head_as_one_that_is_answered_at_once(store: Settings, more: str) -> None:
    async def head(polls: Waiting) -> dict[str, str]:
        lines = (await polls.readers[0][0].readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ") for line in lines[1:-1])
        await polls.readers[0][0].readexactly(int(headers["Content-Length"]))
        return {"": lines[0], **headers, "Date": "", "Content-Length": ""}

    async def scenario() -> None:
        async with waiting(store, 0) as polls:
            path = f"/api/v1/events?cursor={polls.hub.cursor(polls.hub.head)}"
            request = f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {polls.credential}\r\n{more}\r\n".encode()
            polls.readers.append(await asyncio.open_connection("127.0.0.1", polls.served.port))
            polls.readers[0][1].write(request)
            await until_async(lambda: len(polls.subscriptions()) == 1)
            await polls.send()
            waited = await head(polls)
            polls.readers[0][1].write(request)
            at_once = await head(polls)
            ids = waited.pop("X-Request-Id"), at_once.pop("X-Request-Id")
            assert waited == at_once
            assert ("of-the-client" in more) == (ids == ("of-the-client", "of-the-client")), ids
            assert all(VALID_REQUEST_ID.fullmatch(each) for each in ids)

    asyncio.run(scenario())


def test_readers_of_one_event_get_one_body_that_a_later_event_replaces(store: Settings) -> None:
    async def scenario() -> None:
        async with waiting(store, 3) as polls:
            await polls.send()
            bodies = {(await polls.answer(number))[1] for number in range(3)}
            assert len(bodies) == 1
            polls.readers.clear()
            await polls.poll(1)
            await polls.send()
            assert polls.hub.encoded_answer is None or polls.hub.encoded_answer[1] not in bodies
            assert (await polls.answer(0))[1] not in bodies

    asyncio.run(scenario())
