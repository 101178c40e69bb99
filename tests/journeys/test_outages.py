"""PostgreSQL goes away in the middle of load: requests are refused at once, nothing that was answered is lost, and readers go
on."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator

import pytest

from models.store.database import rows
from tests.journeys.clients import Link, Poller, Sender, Socket, Streamer, reading
from tests.journeys.core import until
from tests.journeys.house import House, drained, rounds, seed, until_now
from tests.journeys.test_kills import check_background, check_messages
from tests.models.people import group
from tests.stores import SECRET, PostgresServer

pytestmark = pytest.mark.only("postgresql")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of the test's own, for it to end."""
    made = PostgresServer().start()
    yield made
    made.remove()


@pytest.fixture
def house(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("house"), {"database_url": server.create(), "secret_key": SECRET})
    yield built
    built.close()


def answered(senders: list[Sender]) -> int:
    return sum(len(sender.sent) for sender in senders)


def fast_restart(server: PostgresServer) -> None:
    server.stop(signal.SIGINT)


def crash(server: PostgresServer) -> None:
    server.stop(signal.SIGQUIT)


@pytest.mark.parametrize("end", [fast_restart, crash])
def test_a_database_that_restarts_costs_some_refusals_and_nothing_else(
    house: House, server: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    chance = random.Random(seed())
    ana, ben, sleeper = house.people("ana", "ben", "sleeper")
    crew = group(ana, ben, sleeper)
    for _ in range(2):
        house.start_gateway()
    house.start_worker()
    until_now(lambda: rows("SELECT 1 FROM duties"))  # one that finds no database ends, for its supervisor to start it again

    async def scenario() -> list[Sender]:
        senders = [Sender(house, user, [{"conversation": crew}], chance, f"{user}-{n}") for user in (ana, ben) for n in range(3)]
        readers = [kind(house, ben, chance) for kind in (Poller, Streamer, Socket)]
        stopped = False
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.go_on(lambda: stopped))
            for _ in range(rounds(3)):
                wanted = answered(senders) + 60
                await until(lambda wanted=wanted: answered(senders) >= wanted)
                refused = sum(sender.unavailable for sender in senders)
                await asyncio.to_thread(end, server)
                await until(lambda refused=refused: sum(sender.unavailable for sender in senders) > refused + 20)
                await asyncio.to_thread(server.start)
            wanted = answered(senders) + 60
            await until(lambda: answered(senders) >= wanted)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until_now(drained)
    check_background(sleeper)


def test_while_it_is_down_calls_are_refused_with_a_time_and_polls_stay_open(house: House, server: PostgresServer) -> None:
    ana, ben = house.people("ana", "ben")
    port = house.start_gateway()

    async def scenario() -> None:
        sending, waiting = Link(port, house.token[ana]), Link(port, house.token[ben])
        body = {"to": ben, "body": "before"}
        assert (await sending.call("POST", "/api/v1/messages", body)).status == 201
        cursor = (await waiting.call("GET", "/api/v1/events")).body["cursor"]
        await waiting.call("GET", f"/api/v1/events?cursor={cursor}&timeout=0")  # makes Ben known to the gateway
        poll = asyncio.ensure_future(waiting.call("GET", f"/api/v1/events?cursor={cursor}&timeout=60"))
        await until(lambda: 'bellwire_polls_open{transport="poll"} 1.0' in house.metrics(port))

        await asyncio.to_thread(server.stop)
        for method, path, what in (
            ("POST", "/api/v1/messages", {"to": ben, "body": "lost"}),
            ("GET", "/api/v1/state", None),
            ("GET", "/readyz", None),
        ):
            answer = await sending.call(method, path, what)
            assert (answer.status, answer.body["type"]) == (503, "/problems/unavailable")
            assert int(answer.headers["retry-after"]) <= 1
        assert (await sending.call("GET", "/healthz")).status == 200
        assert not poll.done()

        await asyncio.to_thread(server.start)
        status = 503
        while status == 503:
            status = (await sending.call("POST", "/api/v1/messages", {"to": ben, "body": "after"})).status
        assert status == 201
        answer = await poll
        assert [event["data"]["body"] for event in answer.body["events"]] == ["after"]
        sending.close()
        waiting.close()

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages ORDER BY id") == [("before",), ("after",)]


def test_a_database_that_hangs_is_not_ready_and_goes_on_where_it_was(house: House, server: PostgresServer) -> None:
    """It accepts connections and says nothing; whoever waits longer than for anything it could be doing is refused."""
    ana, ben = house.people("ana", "ben")
    port = house.start_gateway()

    async def scenario() -> None:
        links = [Link(port, house.token[ana]) for _ in range(4)]
        assert (await links[0].call("POST", "/api/v1/messages", {"to": ben, "body": "before"})).status == 201
        server.signal_all(signal.SIGSTOP)
        asked = [
            asyncio.ensure_future(link.call("POST", "/api/v1/messages", {"to": ben, "body": f"{n}", "client_id": f"c{n}"}))
            for n, link in enumerate(links)
        ]
        probe = Link(port, house.token[ana])
        assert (await probe.call("GET", "/readyz")).status == 503
        assert {answer.status for answer in await asyncio.gather(*asked)} == {503}
        server.signal_all(signal.SIGCONT)
        for n, link in enumerate(links):
            status = 503
            while status == 503:
                body = {"to": ben, "body": f"{n}", "client_id": f"c{n}"}
                status = (await link.call("POST", "/api/v1/messages", body)).status
            assert status in (200, 201)
            link.close()
        probe.close()

    asyncio.run(scenario())
    assert sorted(body for (body,) in rows("SELECT body FROM messages")) == ["0", "1", "2", "3", "before"]
