"""A pair of PostgreSQL servers: the first may only be read from some moment on, and the second is promoted."""

import asyncio
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import peewee
import psycopg
import pytest

from models.log import event
from models.store.database import connect, disconnect, execute, rows
from tests.journeys.clients import Link, Response
from tests.journeys.cluster import Cluster, drained
from tests.stores import SECRET, TEMPLATE, PostgresServer, Standby, settings_of
from tests.waiting import until

pytestmark = pytest.mark.only("postgresql")

KINDS = {"gateway": {"committer", "reader", "tail", "listener", "background", "queue"}, "worker": {"checker", "mailer", "queue"}}
CONNECTIONS_SQL = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'bellwire %'"


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, Standby]]:
    """A primary and its standby."""
    primary = PostgresServer().start()
    standby = Standby(primary)
    standby.start()
    yield primary, standby
    standby.remove()
    primary.remove()


def create(pair: tuple[PostgresServer, Standby], template: str | None = TEMPLATE) -> str:
    """Create a database on the primary; return its URL with both hosts."""
    name = pair[0].create(template).rpartition("/")[2]
    return f"postgresql://bellwire@{','.join(f'127.0.0.1:{server.port}' for server in pair)}/{name}"


@pytest.fixture
def cluster(pair: tuple[PostgresServer, Standby], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    store = {"database_url": create(pair), "secret_key": SECRET}
    built = Cluster(tmp_path_factory.mktemp("cluster"), store)
    yield built
    built.close()


def connected(server: PostgresServer) -> set[tuple[str, str]]:
    """(process, kind of connection) of all connections of gateways and workers to a server."""
    with psycopg.connect(server.url("postgres")) as connection:
        names = [name.split()[1:3] for (name,) in connection.execute(CONNECTIONS_SQL)]
    return {(process, re.split("[-_]", kind)[0]) for process, kind in names if process != "command"}


def test_every_connection_moves_from_a_server_that_may_only_be_read(cluster: Cluster, pair: tuple[PostgresServer, Standby]) -> None:
    primary, standby = pair
    wanted = {(process, kind) for process, kinds in KINDS.items() for kind in kinds}
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()
    cluster.start_worker()

    async def history(conversation: int) -> Response:
        link = Link(port, cluster.token[ben])
        answer = await link.call("GET", f"/api/v1/conversations/{conversation}/messages")
        link.close()
        return answer

    async def scenario() -> None:
        link = Link(port, cluster.token[ana])
        sent = 0

        async def send() -> int:
            nonlocal sent
            sent += 1
            body = {"to": ben, "body": f"{sent}", "client_id": f"c{sent}"}
            while (answer := await link.call("POST", "/api/v1/messages", body)).status == 503:
                pass
            assert answer.status in (200, 201), answer
            return int(answer.body["conversation"])

        conversation = await send()
        while not wanted <= await asyncio.to_thread(connected, primary):
            await history(conversation)
            await send()
        primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        primary.execute("SELECT pg_reload_conf()")
        assert (await history(conversation)).status == 200, "what may be read can be read"
        await asyncio.to_thread(standby.catch_up)
        await asyncio.to_thread(standby.promote)
        while await asyncio.to_thread(connected, primary) or not wanted <= await asyncio.to_thread(connected, standby):
            await send()
            newest = (await history(conversation)).body["items"][0]
            assert newest["body"] == f"{sent}", "a read came from the server that was left"
        while (state := await link.call("GET", "/readyz")).status != 200 or state.body["degraded"]:
            pass  # it follows by about a second
        link.close()
        assert rows("SELECT count(*) FROM messages") == [(sent,)]

    asyncio.run(asyncio.wait_for(scenario(), 240))
    until(drained)
    assert rows("SELECT 1 FROM notifications WHERE user_id=?", (ben,))


@pytest.mark.parametrize("fault", ["stopped", "hangs"])
def test_writing_goes_on_at_the_standby_when_the_primary_is_stopped_or_hangs(
    pair: tuple[PostgresServer, Standby], tmp_path: Path, fault: str
) -> None:
    primary, standby = pair
    connect(settings_of(tmp_path, {"database_url": create(pair, None), "secret_key": SECRET}))

    def write(n: int) -> bool:
        try:
            with event.transaction(appends=False):
                execute("INSERT INTO written VALUES (?)", (n,))
        except peewee.DatabaseError:
            return False
        return True

    execute("CREATE TABLE written (n bigint)")
    assert write(1)
    standby.catch_up()
    primary.signal_all(signal.SIGSTOP) if fault == "hangs" else primary.stop()
    assert not write(2)
    assert not write(3), "a standby accepts no writes"
    standby.promote()
    until(lambda: write(4))
    assert {n for (n,) in rows("SELECT n FROM written")} == {1, 4}
    disconnect()
