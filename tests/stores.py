"""The databases that tests run on: SQLite in the test's folder, and a PostgreSQL server with a database for each test."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pwd
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest

from conf import Settings
from models import schema
from models.records.partition_months import month_of
from models.store.clock import now_ms
from models.store.database import connect, disconnect, engine
from tests.waiting import LIMIT_S

KINDS = ("sqlite", "postgresql")
# The wire of gateways on each kind of database: what runs on both kinds has both wires, at no cost. `TEST_WIRE` is that of all.
WIRES = {kind: os.environ.get("TEST_WIRE", wire) for kind, wire in zip(KINDS, ("httptools", "tornado"), strict=True)}
SECRET = "a secret for tests, long enough"
TEMPLATE = "migrated"
PORTS = range(10_000, 32_768)
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30  # a server's files are some 100 MB, and up to six servers run at a time


def free_port() -> int:
    """A free port below 32768: above it, the kernel could use the port for an outgoing connection before the server listens."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with closing(socket.socket()) as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _scratch() -> Path:
    """The folder of the servers' files: in memory if there is room, since copying a database for each test is slow on a disk."""
    has_room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if has_room else Path(tempfile.gettempdir())


def program(name: str) -> str:
    """The path of a program (Debian installs PostgreSQL's apart). If it is missing, skip the test; under CI=true, fail it."""
    path = shutil.which(name) or next((str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed")
    return path


class PostgresServer:
    """A server on a free port. If the tests run as root, it runs as the user postgres, because it refuses to run as root."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bellwire-postgres-", dir=_scratch()))  # pytest's own are for the tests' user
        self._settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",  # kill -9 of the server loses nothing: the kernel has its writes
            "full_page_writes": "off",
            "shared_buffers": "32MB",  # all of it is looked through when a database is dropped
            **settings,
        }
        self._user = "postgres" if os.geteuid() == 0 else None
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._data = self.folder / "data"
        self._month = ""  # of the template's partitions, once there is one
        self._admin: psycopg.Connection[Any] | None = None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._make_files()

    def _make_files(self) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "bellwire", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [program(name), *arguments], cwd=self.folder, capture_output=True, text=True, check=False, **self._as_user()
        )
        assert done.returncode == 0, done.stderr + done.stdout

    def start(self) -> PostgresServer:
        """Start it and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", str(self._data), *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        deadline = monotonic() + LIMIT_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return self
            except psycopg.OperationalError as error:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                if monotonic() > deadline:
                    raise AssertionError("the server did not answer in time") from error
                sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one, as after a crash."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(LIMIT_S)
            self._process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def pids(self) -> list[int]:
        """The process ids of the server and its children."""
        assert self._process is not None
        pid = str(self._process.pid)
        done = subprocess.run(["ps", "-o", "pid=", "--pid", pid, "--ppid", pid], capture_output=True, text=True, check=True)
        return [int(pid) for pid in done.stdout.split()]

    def signal_all(self, number: int) -> None:
        """Send a signal to the server and its children. With SIGSTOP it accepts connections and answers nothing."""
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def url(self, name: str) -> str:
        """A database's URL."""
        return f"postgresql://bellwire@127.0.0.1:{self.port}/{name}"

    def admin(self) -> psycopg.Connection[Any]:
        """The connection to the server's own database. It stays open until the server stops: a new one takes 8 ms of CPU time."""
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.url("postgres"), autocommit=True)
        return self._admin

    def execute(self, sql: str) -> None:
        """Run a statement in the server's own database."""
        self.admin().execute(sql)  # type: ignore[arg-type]

    def migrate_template(self) -> None:
        """Create the migrated database that others are copies of, once. Its partitions are those of the clock's present month."""
        if not self._month:
            self.execute(f"CREATE DATABASE {TEMPLATE}")
            self._month = month_of(now_ms())
            _migrate(self.url(TEMPLATE), Path(tempfile.gettempdir()))

    def create(self, template: str | None = TEMPLATE) -> str:
        """Create a database and return its URL. It is migrated, unless the template is None."""
        name = f"test{next(self._numbers)}"
        if template is not None:
            self.migrate_template()
        copied = f" TEMPLATE {template}" if template else ""
        if self.admin().info.server_version >= 150_000:  # older ones know no other way
            copied += " STRATEGY FILE_COPY"  # half the CPU time of the default
        self.execute(f"CREATE DATABASE {name}{copied}")
        if template == TEMPLATE:
            _copies[self.url(name)] = self._month
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, even if connections are open."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


class Standby(PostgresServer):
    """A server that follows another by streaming replication until it is promoted."""

    def __init__(self, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__()

    def _make_files(self) -> None:
        source = ["-h", "127.0.0.1", "-p", str(self._primary.port), "-U", "bellwire"]
        self._run("pg_basebackup", *source, "-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def catch_up(self) -> None:
        """Replay what the primary has written."""
        with psycopg.connect(self._primary.url("postgres")) as connection:
            written = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
        assert written is not None
        deadline = monotonic() + LIMIT_S
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            while connection.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", written).fetchone() == (True,):
                assert monotonic() < deadline, "the standby did not catch up"
                sleep(0.02)

    def promote(self) -> None:
        """Become a primary."""
        self.execute("SELECT pg_promote()")


def _migrate(url: str, folder: Path) -> None:
    connect(Settings(data_dir=folder, database_url=url, secret_key=SECRET))
    schema.migrate()
    disconnect()


@functools.cache
def _sqlite_template() -> bytes:
    """A migrated SQLite database, which is made once: to migrate takes 110 ms of CPU time, to copy 1 ms."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        connect(settings)
        schema.migrate()
        disconnect()
        return settings.sqlite_path.read_bytes()


_copies: dict[str | None, str] = {}  # URL -> month of the partitions, of copies of the migrated template that were not opened yet


def open_migrated(settings: Settings) -> None:
    """Connect the models to a store, which is a copy of the migrated template if it is on SQLite and does not exist yet."""
    is_new = settings.database_url is None and not settings.sqlite_path.exists()
    if is_new:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.sqlite_path.write_bytes(_sqlite_template())
    connect(settings)
    if not is_new and _copies.pop(settings.database_url, "") != month_of(now_ms()):  # a test may have moved the clock
        schema.migrate()


class NamedSettings(Settings):
    """Settings by their names alone: to look for a hundred of them in the environment takes 4 ms of CPU time."""

    @classmethod
    def settings_customise_sources(cls, *_: object, init_settings: Any, **__: object) -> tuple[Any, ...]:
        """The arguments are the only source."""
        return (init_settings,)


class Database:
    """A kind of database. `fresh` creates a database of it and yields the settings that name it."""

    def __init__(self, kind: str, server: PostgresServer | None) -> None:
        self.kind = kind
        self.server = server
        if server is None:
            _sqlite_template()  # here and not at its first use, which may be in a test that has moved the clock

    @contextmanager
    def fresh(self, migrated: bool = True) -> Iterator[dict[str, str]]:
        """Yield settings by their lower-case names, for any data folder. SQLite's file is not created yet."""
        if self.server is None:
            yield {}
            return
        url = self.server.create(TEMPLATE if migrated else None)
        try:
            yield {"database_url": url, "secret_key": SECRET}
        finally:
            disconnect()
            self.server.drop(url)


@contextmanager
def full_disk(free_bytes: int = 0) -> Iterator[None]:
    """Let this process write only so many bytes into a file: a write beyond them fails in the middle, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings as environment variables."""
    return {f"BELLWIRE_{name.upper()}": str(value) for name, value in settings.items()}


def settings_of(folder: Path, overrides: Mapping[str, Any]) -> Settings:
    """Settings for a test's folder."""
    return NamedSettings(data_dir=folder, **overrides)


def named(settings: Settings) -> dict[str, object]:
    """The settings with which another process works on the same store."""
    overrides: dict[str, object] = {"data_dir": settings.data_dir}
    if settings.database_url is not None:
        overrides |= {"database_url": settings.database_url, "secret_key": SECRET}
    return overrides


def json_number(column: str, *path: str) -> str:
    """SQL for a number inside a column of JSON text."""
    if engine().name == "sqlite":
        return f"json_extract({column}, '$.{'.'.join(path)}')"
    return f"({column}::jsonb #>> '{{{','.join(path)}}}')::bigint"
