"""A PostgreSQL and a Redis of a benchmark's own, on free ports in temporary folders, removed at its end.

PostgreSQL runs as it comes, durability included: fsync on, synchronous_commit on. It counts statements (pg_stat_statements).
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import redis

from bench.processes import free_port, launch, stop
from bench.server import START_S, StartFailed, wait_for

DATABASE = "bellwire"
SECRET = "a secret of the benchmarks, long enough"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
}


def program(name: str) -> str:
    """Return the path of a program; Debian keeps PostgreSQL's apart. Raise StartFailed when it is not installed."""
    apart = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    if found := shutil.which(name) or (apart[-1] if apart else None):
        return found
    raise StartFailed(f"{name} is not installed")


class Postgres(NamedTuple):
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str = DATABASE) -> str:
        """Return a database's URL."""
        return f"postgresql://bellwire@127.0.0.1:{self.port}/{database}"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement in the server's own database, where it does not count as one of Bellwire's."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def answers(self) -> bool:
        """Tell whether it takes connections now."""
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url("postgres")).close()
            return True
        return False


class Redis(NamedTuple):
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        """Tell whether it answers a ping now."""
        with closing(redis.Redis(port=self.port, socket_timeout=5)) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


class Stores(NamedTuple):
    """Both, as an installation of several gateways uses them."""

    postgres: Postgres
    redis: Redis

    def settings(self) -> dict[str, str]:
        """Return the environment that names them."""
        return {
            "BELLWIRE_DATABASE_URL": self.postgres.url(),
            "BELLWIRE_REDIS_URL": self.redis.url,
            "BELLWIRE_SECRET_KEY": SECRET,
        }


def _unprivileged() -> tuple[str, ...]:
    """Return the start of a command line that PostgreSQL, which refuses to run as root, needs here."""
    return () if os.geteuid() else (program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")


@contextmanager
def _started(kind: type[Postgres] | type[Redis], port: int, command: Sequence[str], folder: Path) -> Iterator[Any]:
    with (folder / "log").open("ab") as log:
        server = kind(port, launch(command, folder, log))
    try:
        wait_for(server.answers, [server.process], (folder / "log").read_text)
        yield server
    finally:
        server.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it waits for no client
        stop(server.process)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database for Bellwire."""
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-postgres-") as path:
        folder, port, prefix = Path(path), free_port(), _unprivileged()
        if prefix:
            shutil.chown(folder, "postgres")
        init = [*prefix, program("initdb"), "-D", "data", "-U", "bellwire", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(init, cwd=folder, capture_output=True, text=True, timeout=START_S)
        if done.returncode:
            raise StartFailed(done.stderr[-2000:])
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [*prefix, program("postgres"), "-D", "data", "-p", str(port), *options]
        with _started(Postgres, port, command, folder) as server:
            server.rows(f"CREATE DATABASE {DATABASE}")
            server.rows("CREATE EXTENSION pg_stat_statements")
            yield server


@contextmanager
def stores() -> Iterator[Stores]:
    """Run both."""
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-redis-") as folder, postgres() as database:
        port = free_port()
        command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _started(Redis, port, command, Path(folder)) as queue:
            yield Stores(database, queue)
