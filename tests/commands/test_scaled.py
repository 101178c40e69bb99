"""The commands on PostgreSQL and Redis."""

import json
import signal
import urllib.request
from collections.abc import Iterator

import pytest
import redis

from jobs.infra.redis_client import create_async_client, create_client
from tests.commands.installation import ROOT, Installation
from tests.commands.test_doctor import examined, line_of
from tests.redis_server import RedisServer
from tests.stores import SECRET, PostgresServer, free_port
from tests.waiting import LIMIT_S


@pytest.fixture
def scaled(bellwire: Installation, postgres: PostgresServer) -> Iterator[Installation]:
    """An installation that has never run, with an empty database."""
    url = postgres.create(None)
    bellwire.settings |= {"DATABASE_URL": url, "SECRET_KEY": SECRET}
    yield bellwire
    postgres.drop(url)


def call(bellwire: Installation, token: str, path: str, body: object = None) -> object:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{bellwire.settings['PORT']}{path}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=LIMIT_S) as answer:
        return json.loads(answer.read())


def test_serve_alone_makes_the_schema_and_a_working_chat(scaled: Installation) -> None:
    serving = scaled.start(ROOT / "run.py", "serve")
    assert serving.stdout is not None
    until_ready = next(line for line in serving.stdout if "Bellwire is up" in line)
    assert until_ready
    token = scaled.succeed("create-admin", "--new", "--username", "root", "--email", "root@example.org").split()[-1]
    users = [{"username": "ana", "email": "ana@example.org"}]
    made = call(scaled, token, "/api/v1/admin/users", {"users": users})
    assert isinstance(made, dict)
    call(scaled, scaled.succeed("token", "ana").strip(), "/api/v1/messages", {"to": 1, "body": "hi"})
    state = call(scaled, token, "/api/v1/state")
    assert isinstance(state, dict)
    assert [c["last_message"]["body"] for c in state["conversations"]] == ["hi"]
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(LIMIT_S) == 0
    assert not scaled.database.exists()


def test_a_gateway_says_which_migration_is_missing(scaled: Installation) -> None:
    assert "run.py migrate" in scaled.refused("gateway")
    assert "applied 0001_initial\n" in scaled.succeed("migrate")
    assert "up to date" in scaled.succeed("migrate")


def test_a_database_that_is_not_there_is_an_error_that_shows_no_password(bellwire: Installation) -> None:
    url = f"postgresql://bellwire:hunter2@127.0.0.1:{free_port()}/bellwire"
    said = bellwire.refused("gateway", status=3, DATABASE_URL=url, SECRET_KEY=SECRET)
    assert "the store can't be used" in said
    assert "hunter2" not in said


def test_of_several_hosts_the_one_that_is_there_is_found(scaled: Installation, postgres: PostgresServer) -> None:
    name = scaled.settings["DATABASE_URL"].rpartition("/")[2]
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    assert "applied 0001_initial\n" in scaled.succeed("migrate", DATABASE_URL=f"postgresql://bellwire@{hosts}/{name}")


def test_what_needs_a_file_says_what_to_use_instead(scaled: Installation) -> None:
    assert "pg_dump" in scaled.refused("backup", "away")
    assert "pg_restore" in scaled.refused("restore", "away")


def test_the_doctor_looks_at_database_and_redis(scaled: Installation, redis_server: RedisServer) -> None:
    scaled.succeed("migrate")
    status, lines = examined(scaled, REDIS_URL=redis_server.url)
    assert status == 0
    assert "fsync is off" in line_of(lines, "warn", "store: PostgreSQL")
    assert line_of(lines, "ok", "queue on Redis", "answers")
    redis_server.kill()
    status, lines = examined(scaled, REDIS_URL=redis_server.url)
    assert status == 1
    assert "BELLWIRE_REDIS_URL" in line_of(lines, "FAIL", "queue on Redis")


@pytest.fixture
def sentinel(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A sentinel that watches the test's Redis as `chat`."""
    port = free_port()
    watching = RedisServer(port=port)
    conf = watching.folder / "sentinel.conf"
    conf.write_text(f"port {port}\nsentinel monitor chat 127.0.0.1 {redis_server.port} 1\n")
    watching._options = (str(conf), "--sentinel")
    yield watching.start()
    watching.remove()


def test_sentinel_says_which_redis_it_is(scaled: Installation, redis_server: RedisServer, sentinel: RedisServer) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/chat/0"
    scaled.succeed("migrate")
    with create_client(url, 1.0) as client:
        client.set("said", "so")
    with redis_server.client() as client:
        assert client.get("said") == b"so"
    assert line_of(examined(scaled, REDIS_URL=url)[1], "ok", "queue on Redis", "answers")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("rediss://:pw@host:7000/2", {"host": "host", "port": 7000, "db": 2, "password": "pw"}),
        ("valkeys://host", {"host": "host"}),
        ("valkey://host/1", {"host": "host", "db": 1}),
        ("unix:///run/redis.sock?db=3", {"path": "/run/redis.sock", "db": 3}),
    ],
)
def test_urls_mean_what_they_say(url: str, wanted: dict[str, object]) -> None:
    for made in (create_client(url, 1.0), create_async_client(url, 1.0)):
        pool = made.connection_pool
        assert wanted.items() <= pool.connection_kwargs.items()
        assert ("SSL" in pool.connection_class.__name__) == (url.split("://")[0] in ("rediss", "valkeys"))


def test_a_sentinel_url_may_log_in_and_use_tls() -> None:
    kwargs = create_client("rediss+sentinel://me:p%40ss@one:1,two/chat/4", 1.0).connection_pool.connection_kwargs
    assert (kwargs["username"], kwargs["password"], kwargs["db"]) == ("me", "p@ss", 4)


def test_a_redis_that_refuses_says_so_in_time() -> None:
    with pytest.raises(redis.RedisError):
        create_client(f"redis://127.0.0.1:{free_port()}/0", 0.5).ping()
