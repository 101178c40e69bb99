"""PostgreSQL stops under load: requests are refused at once, nothing that was answered is lost, and readers continue."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator

import pytest

from models.store.database import rows
from tests.journeys.clients import Link, Poller, Sender, Socket, Streamer, reading
from tests.journeys.cluster import Cluster, drained, rounds, seed
from tests.journeys.test_kills import check_background, check_messages
from tests.models.people import group
from tests.stores import SECRET, PostgresServer
from tests.waiting import until, until_async

pytestmark = pytest.mark.only("postgresql")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for one test, which may stop it."""
    made = PostgresServer().start()
    yield made
    made.remove()


@pytest.fixture
def cluster(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    built = Cluster(tmp_path_factory.mktemp("cluster"), {"database_url": server.create(), "secret_key": SECRET})
    yield built
    built.close()


def answered(senders: list[Sender]) -> int:
    return sum(len(sender.sent) for sender in senders)


def fast_restart(server: PostgresServer) -> None:
    server.stop(signal.SIGINT)


def crash(server: PostgresServer) -> None:
    server.stop(signal.SIGQUIT)


@pytest.mark.parametrize("end", [fast_restart, crash])
def test_a_restart_of_the_database_causes_refusals_and_nothing_else(
    cluster: Cluster, server: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    chance = random.Random(seed())
    ana, ben, sleeper = cluster.people("ana", "ben", "sleeper")
    crew = group(ana, ben, sleeper)
    for _ in range(2):
        cluster.start_gateway()
    cluster.start_worker()
    until(lambda: rows("SELECT 1 FROM duties"))  # a worker that finds no database when it starts ends

    async def scenario() -> list[Sender]:
        senders = [Sender(cluster, user, [{"conversation": crew}], chance, f"{user}-{n}") for user in (ana, ben) for n in range(3)]
        readers = [kind(cluster, ben, chance) for kind in (Poller, Streamer, Socket)]
        stopped = False
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: stopped))
            for _ in range(rounds(1)):
                target = answered(senders) + 60
                await until_async(lambda target=target: answered(senders) >= target)
                refused = sum(sender.unavailable for sender in senders)
                await asyncio.to_thread(end, server)
                await until_async(lambda refused=refused: sum(sender.unavailable for sender in senders) > refused + 20)
                await asyncio.to_thread(server.start)
            target = answered(senders) + 60
            await until_async(lambda: answered(senders) >= target)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until(drained)
    check_background(sleeper)


def test_without_the_database_calls_get_a_retry_time_and_polls_stay_open(cluster: Cluster, server: PostgresServer) -> None:
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()

    async def scenario() -> None:
        sending, waiting = Link(port, cluster.token[ana]), Link(port, cluster.token[ben])
        body = {"to": ben, "body": "before"}
        assert (await sending.call("POST", "/api/v1/messages", body)).status == 201
        cursor = (await waiting.call("GET", "/api/v1/events")).body["cursor"]
        await waiting.call("GET", f"/api/v1/events?cursor={cursor}&timeout=0")  # loads Ben's subscriber on the gateway
        poll = asyncio.ensure_future(waiting.call("GET", f"/api/v1/events?cursor={cursor}&timeout=60"))
        await until_async(lambda: 'bellwire_polls_open{transport="poll"} 1.0' in cluster.metrics(port))

        await asyncio.to_thread(server.stop)
        for method, path, content in (
            ("POST", "/api/v1/messages", {"to": ben, "body": "lost"}),
            ("GET", "/api/v1/state", None),
            ("GET", "/readyz", None),
        ):
            answer = await sending.call(method, path, content)
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


def test_a_database_that_hangs_is_not_ready_and_continues_afterwards(cluster: Cluster, server: PostgresServer) -> None:
    """It accepts connections and does not answer; a call that waits longer than any statement could take is refused."""
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()

    async def scenario() -> None:
        links = [Link(port, cluster.token[ana]) for _ in range(4)]
        assert (await links[0].call("POST", "/api/v1/messages", {"to": ben, "body": "before"})).status == 201
        server.signal_all(signal.SIGSTOP)
        calls = [
            asyncio.ensure_future(link.call("POST", "/api/v1/messages", {"to": ben, "body": f"{n}", "client_id": f"c{n}"}))
            for n, link in enumerate(links)
        ]
        probe = Link(port, cluster.token[ana])
        while (await probe.call("GET", "/readyz")).status != 503:
            pass
        assert {answer.status for answer in await asyncio.gather(*calls)} == {503}
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
