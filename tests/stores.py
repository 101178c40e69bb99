"""The databases that tests run on: SQLite in the test's folder, and a PostgreSQL server with a database for each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
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
from models.store.database import connect, disconnect, engine

KINDS = ("sqlite", "postgresql")
SECRET = "a secret for tests, long enough"
TEMPLATE = "migrated"
LIMIT_S = 30
PORTS = range(10_000, 32_768)
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30  # a server's files take some 100 MB, and there are up to six at a time


def free_port() -> int:
    """A port nobody listens on, nor is given for a connection's own end before it is listened on: those begin at 32768."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with closing(socket.socket()) as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def _scratch() -> Path:
    """Where servers' files are: in memory, if there is plenty. A database is copied for most tests, which on a disk takes ten
    times as long as making it."""
    plenty = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if plenty else Path(tempfile.gettempdir())


def program(name: str) -> str:
    """The path of a program (Debian keeps PostgreSQL's apart). Without it the test is skipped; under CI=true it fails."""
    found = shutil.which(name) or next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed")
    return found


class PostgresServer:
    """One server on a free port. It does not run as root, whoever the tests run as."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bellwire-postgres-", dir=_scratch()))  # pytest's own are for the tests' user
        self._settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",  # kill -9 of the server loses nothing: what is written is in the kernel's hands
            "full_page_writes": "off",
            **settings,
        }
        self._user = "postgres" if os.geteuid() == 0 else None
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._data = self.folder / "data"
        self._migrated = False
        if self._user is not None:
            shutil.chown(self.folder, self._user)
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
        """Starts it and waits until it answers."""
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
                    raise AssertionError("it never answered") from error
                sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends it: SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one, as after a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(LIMIT_S)
            self._process = None

    def remove(self) -> None:
        """Ends it and takes its folder away."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def pids(self) -> list[int]:
        """The server and all its children."""
        assert self._process is not None
        pid = str(self._process.pid)
        found = subprocess.run(["ps", "-o", "pid=", "--pid", pid, "--ppid", pid], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def signal_all(self, number: int) -> None:
        """Sends a signal to the server and its children: SIGSTOP makes it accept and say nothing."""
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def url(self, name: str) -> str:
        """A database's URL."""
        return f"postgresql://bellwire@127.0.0.1:{self.port}/{name}"

    def execute(self, sql: str) -> None:
        """One statement in the server's own database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[arg-type]

    def create(self, template: str | None = TEMPLATE) -> str:
        """A new database, migrated unless there is to be no template; returns its URL."""
        name = f"test{next(self._numbers)}"
        if template is not None and not self._migrated:
            self.execute(f"CREATE DATABASE {TEMPLATE}")
            _migrate(self.url(TEMPLATE), Path(tempfile.gettempdir()))
            self._migrated = True
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Removes a database, whoever is connected."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def _migrate(url: str, folder: Path) -> None:
    connect(Settings(data_dir=folder, database_url=url, secret_key=SECRET))
    schema.migrate()
    disconnect()


class Database:
    """One kind of database. `fresh` gives the settings that name a new, migrated one."""

    def __init__(self, kind: str, server: PostgresServer | None) -> None:
        self.kind = kind
        self.server = server

    @contextmanager
    def fresh(self, migrated: bool = True) -> Iterator[dict[str, str]]:
        """Settings by their lower-case names, for any data folder. SQLite's is not migrated yet."""
        if self.server is None:
            yield {}
            return
        url = self.server.create(TEMPLATE if migrated else None)
        try:
            yield {"database_url": url, "secret_key": SECRET}
        finally:
            disconnect()
            self.server.drop(url)


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The same as environment variables."""
    return {f"BELLWIRE_{name.upper()}": str(value) for name, value in settings.items()}


def settings_of(folder: Path, overrides: Mapping[str, Any]) -> Settings:
    """Settings for a test's folder."""
    return Settings(data_dir=folder, **overrides)


def named(settings: Settings) -> dict[str, object]:
    """What another process must be told, to work on the same store."""
    found: dict[str, object] = {"data_dir": settings.data_dir}
    if settings.database_url is not None:
        found |= {"database_url": settings.database_url, "secret_key": SECRET}
    return found


def json_number(column: str, *path: str) -> str:
    """SQL for a number inside a column of JSON text."""
    if engine().name == "sqlite":
        return f"json_extract({column}, '$.{'.'.join(path)}')"
    return f"({column}::jsonb #>> '{{{','.join(path)}}}')::bigint"
