"""Fixtures: databases, and gateways for tests over HTTP, one process per test module."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from commands.channel import ChannelBroker
from models.store import clock
from models.store import postgres as postgres_store
from models.store.engine import TransactionStart
from models.store.postgres import PostgreSQL
from tests.channel_broker import running_broker
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.redis_server import RedisServer
from tests.s3_server import S3Server
from tests.stores import KINDS, WIRES, Database, PostgresServer

# Files of a few slow tests each: they run first, so that the run does not end by waiting for one of them.
SLOW = (
    *("tests/journeys/", "tests/deploy/", "tests/commands/", "tests/grafana/", "tests/page/"),
    *("tests/models/sync/test_catchup_machine.py", "tests/gateway/delivery/test_bus.py", "tests/gateway/test_server.py"),
    *("tests/gateway/apidoc/test_schemathesis.py", "tests/jobs/test_worker.py"),
)


# Tests of what a wire does: with one kind of database they run on both wires.
HTTP = (
    *("tests/gateway/http/", "tests/gateway/api/test_file", "tests/gateway/api/test_stream.py"),
    *("tests/gateway/api/test_websocket.py", "tests/gateway/api/test_legacy.py", "tests/gateway/api/test_messages.py"),
)

# No test asserts how fast anything is: a shared machine may be slow at any moment.
hypothesis.settings.register_profile("bellwire", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("bellwire")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers: `needs_binary("redis-server")` for a required program, `only("sqlite")` for tests of one database."""
    config.addinivalue_line("markers", "needs_binary(name): skipped where the program is missing; fails there under CI=true")
    config.addinivalue_line("markers", "only(kind): runs on one kind of database, sqlite or postgresql")
    sys.dont_write_bytecode = False  # hundreds of processes are started: each would compile every module again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the runs of `only` tests on other databases, and put the slow files first."""
    config.hook.pytest_deselected(items=[item for item in items if not _runs_on_its_database(item)])
    items[:] = sorted(filter(_runs_on_its_database, items), key=lambda item: not item.nodeid.startswith(SLOW))


def _runs_on_its_database(item: pytest.Item) -> bool:
    """False for a single set of arguments that is marked `only`; of whole functions no others are made."""
    marker, call = item.get_closest_marker("only"), getattr(item, "callspec", None)
    return marker is None or call is None or call.params.get("backend", marker.args)[0] == marker.args[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database on each kind of them, and what needs a gateway on the kind's wire: so most tests run on both wires.

    Of tests of HTTP on one kind of database there is one for each wire.
    """
    if "backend" not in metafunc.fixturenames:
        return
    only, has_gateway = metafunc.definition.get_closest_marker("only"), "make_gateway" in metafunc.fixturenames
    kinds = [(name, WIRES[name]) for name in (only.args if only else KINDS)]
    if only and has_gateway and metafunc.definition.nodeid.startswith(HTTP):
        kinds = [(name, wire) for name, _ in kinds for wire in dict.fromkeys(WIRES.values())]
    ids = ["-".join(kind if has_gateway else kind[:1]) for kind in kinds]
    metafunc.parametrize("backend", kinds, indirect=True, scope="module", ids=ids)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is missing; under CI=true, fail it."""
    for marker in item.iter_markers("needs_binary"):
        name = marker.args[0]
        if shutil.which(name) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} is not installed", pytrace=False)
            pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process."""
    server = PostgresServer().start()
    _outlast_a_busy_machine()
    server.migrate_template()  # here and not at its first use, which may be in a test that has moved the clock
    yield server
    server.remove()


def _outlast_a_busy_machine() -> None:
    """Let transactions of this process pause for a minute: the server must not end one because others keep the cores busy."""
    short = f"idle_in_transaction_session_timeout = '{postgres_store.IDLE_IN_TRANSACTION_S}s'"
    assert short in postgres_store.SESSION_SQL
    postgres_store.SESSION_SQL = postgres_store.SESSION_SQL.replace(short, "idle_in_transaction_session_timeout = '60s'")


@pytest.fixture
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's clock is this process's, for tests that move it."""
    begin = PostgreSQL.begin

    def begin_now(engine: PostgreSQL, *, appends: bool, durable: bool) -> TransactionStart:
        return begin(engine, appends=appends, durable=durable)._replace(now_ms=clock.now_ms())

    monkeypatch.setattr(PostgreSQL, "begin", begin_now)
    monkeypatch.setattr(PostgreSQL, "now_ms", lambda engine: clock.now_ms())


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for one test."""
    server = RedisServer().start()
    yield server
    server.remove()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ChannelBroker]:
    """A broker of the local channel for one test."""
    with running_broker(tmp_path / "channel.sock") as running:
        yield running


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server of buckets for all tests of this process."""
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(params=("folder", "bucket"))
def files_url(request: pytest.FixtureRequest) -> str:
    """The setting `files_url`, for each kind of store of objects in turn: new ones."""
    if request.param == "folder":
        return "files"
    url: str = request.getfixturevalue("s3").new_bucket()
    return url


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each kind of database in turn, and the wire of the gateways on it: see `pytest_generate_tests`."""
    name, wire = request.param
    return name, wire


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest, backend: tuple[str, str]) -> Database:
    """Each kind of database in turn."""
    return Database(backend[0], request.getfixturevalue("postgres") if backend[0] == "postgresql" else None)


@pytest.fixture(scope="module")
def wire(request: pytest.FixtureRequest, database: Database) -> str:
    """The wire of the module's gateways. Some folders have a database of their own."""
    return str(request.getfixturevalue("backend")[1]) if "backend" in request.fixturenames else WIRES[database.kind]


@pytest.fixture(scope="module")
def make_gateway(tmp_path_factory: pytest.TempPathFactory, database: Database, wire: str) -> Iterator[Callable[..., Gateway]]:
    """Start gateways with their own settings, each on a new store, or on that of `beside`."""
    made: list[Gateway] = []
    with contextlib.ExitStack() as stores:

        def make(command: str = "gateway", beside: Gateway | None = None, **settings: str) -> Gateway:
            store = beside.store_settings if beside else stores.enter_context(database.fresh())
            folder = beside.folder if beside else tmp_path_factory.mktemp("gateway")
            made.append(Gateway(folder, store, command, **{"WIRE": wire, **settings}))
            return made[-1].start()

        yield make
        for gateway in made:
            gateway.close()


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """One gateway without background work."""
    return make_gateway()


@pytest.fixture(scope="module")
def served(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway and a worker: `run.py serve`."""
    return make_gateway("serve")


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> Client:
    """An admin of the module's gateway."""
    return gateway.user("admin")


@pytest.fixture
def people(gateway: Gateway) -> list[Client]:
    """Ana, Ben and Cleo: new users for each test."""
    return gateway.users(3)


@pytest.fixture
def ana(people: list[Client]) -> Client:
    """The first of them."""
    return people[0]


@pytest.fixture
def ben(people: list[Client]) -> Client:
    """The second of them."""
    return people[1]


@pytest.fixture
def cleo(people: list[Client]) -> Client:
    """The third of them."""
    return people[2]
