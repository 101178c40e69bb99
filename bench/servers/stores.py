"""A PostgreSQL and a Redis for one benchmark, on free ports, with their data in temporary folders.

PostgreSQL runs with its default durability: fsync on, synchronous_commit on. It counts statements (pg_stat_statements).
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

from bench.servers.bellwire import START_TIMEOUT_S, StartFailed, wait_for
from bench.servers.processes import free_port, launch, stop

DATABASE = "bellwire"
CALLS_SQL = f"""
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid=s.dbid WHERE d.datname='{DATABASE}'
"""
SECRET = "a secret of the benchmarks, long enough"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
}


def program(name: str) -> str:
    """Return the path of a program, also of PostgreSQL's in Debian's own folder; raise StartFailed when it is not installed."""
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
        """Return whether it accepts connections now."""
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
        """The server's URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        """Return whether it answers a ping now."""
        with closing(redis.Redis(port=self.port, socket_timeout=5)) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


class Stores(NamedTuple):
    """Both stores, as an installation with several gateways uses them."""

    postgres: Postgres
    redis: Redis

    def settings(self) -> dict[str, str]:
        """Return the environment that names them."""
        return {
            "BELLWIRE_DATABASE_URL": self.postgres.url(),
            "BELLWIRE_REDIS_URL": self.redis.url,
            "BELLWIRE_SECRET_KEY": SECRET,
        }

    def statements(self) -> int:
        """Return the number of statements run in Bellwire's database so far, BEGIN and COMMIT included."""
        return int(self.postgres.rows(CALLS_SQL)[0][0])


def _unprivileged() -> tuple[str, ...]:
    """Return the beginning of PostgreSQL's command lines: it refuses to run as root."""
    return () if os.geteuid() else (program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")


@contextmanager
def _started(kind: type[Postgres] | type[Redis], port: int, command: Sequence[str], folder: Path) -> Iterator[Any]:
    with (folder / "log").open("a+b") as output:
        server = kind(port, launch(command, folder, output))
        try:
            wait_for(server.answers, [server.process], output)
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
        done = subprocess.run(init, cwd=folder, capture_output=True, text=True, timeout=START_TIMEOUT_S)
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
    """Run PostgreSQL and Redis."""
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-redis-") as folder, postgres() as database:
        port = free_port()
        command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _started(Redis, port, command, Path(folder)) as queue:
            yield Stores(database, queue)
