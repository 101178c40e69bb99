"""Reading events: each once, in order, through failures of gateways, connections and cursors."""

import asyncio
import threading
from contextlib import aclosing
from itertools import islice
from pathlib import Path

import pytest

from bellwire_client import AsyncClient, AsyncEvents, Client, Event, Events, Reset, UnauthorizedError
from bellwire_client.following import Transport
from bellwire_client.sse import SseParser
from clients.python.tests.conftest import Connect
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway

TRANSPORTS: list[Transport] = ["poll", "sse", "ws"]
MESSAGES = ("message.created",)
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)


def bodies(events: Events, count: int) -> list[str]:
    """Return the texts of the next messages."""
    return [event.message.body for event in islice(events, count) if isinstance(event, Event)]


async def bodies_async(events: AsyncEvents, count: int) -> list[str]:
    found: list[str] = []
    async with aclosing(aiter(events)) as coming:
        while len(found) < count:
            event = await anext(coming)
            assert isinstance(event, Event)
            found.append(event.message.body)
    return found


def reset(events: Events) -> Reset:
    """Return the next item, which must be a Reset."""
    found = next(iter(events))
    assert isinstance(found, Reset)
    return found


def test_every_reader_goes_on_over_a_restart_without_a_gap_or_a_double(gateway: Gateway, ana: Person, ben: Person) -> None:
    texts = [f"text {n}\u2028on another line\r\n\n" for n in range(8)]
    cursor, at = ben.now(), ana.send("to begin", to=ben)["conversation"]
    clients = [Client(gateway.url, ben.token) for _ in TRANSPORTS]
    readers = [client.events(cursor, types=MESSAGES, transport=t) for client, t in zip(clients, TRANSPORTS, strict=True)]

    async def scenario() -> list[list[str]]:
        async with AsyncClient(gateway.url, ben.token) as other:
            tasks = [asyncio.create_task(bodies_async(other.events(cursor, types=MESSAGES, transport=t), 9)) for t in TRANSPORTS]
            blocking = [asyncio.create_task(asyncio.to_thread(bodies, reader, 9)) for reader in readers]
            await asyncio.to_thread(gateway.waiting, 2, "sse")
            await asyncio.to_thread(gateway.waiting, 2, "ws")
            for text in texts[:4]:
                await asyncio.to_thread(ana.send, text, at=at)
            await asyncio.to_thread(gateway.restart)
            for text in texts[4:]:
                await asyncio.to_thread(ana.send, text, at=at)
            return [await task for task in (*tasks, *blocking)]

    assert asyncio.run(scenario()) == [["to begin", *texts]] * 6
    for client in clients:
        client.close()


@each_transport
def test_without_a_cursor_the_state_comes_first_and_events_go_on_from_it(
    bot: Client, ana: Person, ben: Person, transport: Transport
) -> None:
    at = ben.send("earlier", to=ana)["conversation"]
    events = bot.events(types=MESSAGES, transport=transport)

    assert [c.last_message and c.last_message.body for c in reset(events).state.conversations] == ["earlier"]
    ben.send("now", at=at)
    assert bodies(events, 1) == ["now"]


@each_transport
def test_a_cursor_that_was_kept_goes_on_after_the_event_that_was_handled(
    connect: Connect, ana: Person, ben: Person, transport: Transport
) -> None:
    at = ana.send("one", to=ben)["conversation"]
    for text in ("two", "three", "four"):
        ana.send(text, at=at)
    first = connect(ben).events("begin", types=MESSAGES, transport=transport)

    assert bodies(first, 2) == ["one", "two"]
    assert bodies(connect(ben).events(first.cursor, types=MESSAGES), 1) == ["three"]
    assert bodies(first, 2) == ["three", "four"], "iterating again goes on, too"


@each_transport
def test_an_expired_cursor_yields_the_state_and_continues_after_it(
    bot: Client, ana: Person, ben: Person, transport: Transport
) -> None:
    at = ben.send("missed", to=ana)["conversation"]
    events = bot.events("another-1", types=MESSAGES, transport=transport)

    state = reset(events).state
    assert [c.last_message and c.last_message.body for c in state.conversations] == ["missed"]
    assert events.cursor == state.cursor
    ben.send("next", at=at)
    assert bodies(events, 1) == ["next"]


def test_an_expired_cursor_does_the_same_on_an_event_loop(gateway: Gateway, ana: Person) -> None:
    async def scenario() -> Event | Reset:
        async with AsyncClient(gateway.url, ana.token) as bot, aclosing(aiter(bot.events("another-1"))) as events:
            return await anext(events)

    found = asyncio.run(scenario())
    assert isinstance(found, Reset)
    assert found.state.me.username == ana.name


@each_transport
def test_a_reader_whose_token_becomes_invalid_gets_an_error(
    gateway: Gateway, connect: Connect, ana: Person, transport: Transport
) -> None:
    events = connect(ana).events(transport=transport)
    errors: list[type[BaseException]] = []

    def follow() -> None:
        try:
            list(events)
        except UnauthorizedError as error:
            errors.append(type(error))

    reading = threading.Thread(target=follow)
    reading.start()
    gateway.waiting(1, transport)
    ana.post("/logout")
    reading.join()

    assert errors == [UnauthorizedError]


@pytest.mark.parametrize("transport", ["sse", "ws"])
def test_a_reader_that_leaves_lets_go_of_its_connection(
    gateway: Gateway, connect: Connect, ana: Person, ben: Person, transport: Transport
) -> None:
    ana.send("hello", to=ben)

    async def scenario() -> None:
        async with AsyncClient(gateway.url, ben.token) as other:
            assert await bodies_async(other.events("begin", types=MESSAGES, transport=transport), 1) == ["hello"]
            await asyncio.to_thread(gateway.waiting, 0, transport)

    asyncio.run(scenario())
    assert bodies(connect(ben).events("begin", types=MESSAGES, transport=transport), 1) == ["hello"]
    gateway.waiting(0, transport)


def test_types_leave_the_rest_out(connect: Connect, ana: Person, ben: Person) -> None:
    cursor = ben.now()
    ana.send("hello", to=ben)
    found = list(islice(connect(ben).events(cursor), 2))
    picked = next(iter(connect(ben).events(cursor, types="message.created")))

    assert [event.type for event in found if isinstance(event, Event)] == ["conversation.created", "message.created"]
    assert picked == found[1]


def test_blocks_come_whole_however_they_were_cut() -> None:
    sent = 'id: e-1\ndata: {"a": "\u2028é"}\n\nid: e-2\n\ndata: {"b": 2}\n\n'.encode()
    whole = [("e-1", {"a": "\u2028é"}), ("e-2", None), (None, {"b": 2})]

    assert SseParser().feed(sent) == whole
    for size in (1, 2, 3, 7):
        blocks = SseParser()
        pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
        assert [block for piece in pieces for block in blocks.feed(piece)] == whole


def test_a_cursor_file_continues_after_what_was_handled(
    gateway: Gateway, connect: Connect, ana: Person, ben: Person, tmp_path: Path
) -> None:
    file = tmp_path / "cursor"
    at = ana.send("one", to=ben)["conversation"]

    def follow() -> Events:
        return connect(ben).events("begin", types=MESSAGES, cursor_file=file)

    async def follow_async(count: int) -> list[str]:
        async with AsyncClient(gateway.url, ben.token) as other:
            return await bodies_async(other.events(types=MESSAGES, cursor_file=str(file)), count)

    ana.send("two", at=at)
    assert bodies(follow(), 2) == ["one", "two"]
    assert bodies(follow(), 1) == ["two"], "the program may have been killed while it handled the second"
    ana.send("three", at=at)
    assert asyncio.run(follow_async(2)) == ["two", "three"]
    assert bodies(follow(), 1) == ["three"]
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]
