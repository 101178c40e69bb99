"""Run a gateway in its own process, with a data folder that survives restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from models.accounts import registration
from models.accounts.registration import NewUser
from models.identity import token
from models.log import event
from models.schema import TABLES
from models.store import database
from models.store.database import connect, disconnect
from tests.fork_server import FORKS_THE_WORKER
from tests.gateway.client import Client
from tests.python import Python
from tests.stores import WIRES, free_port, open_migrated, settings_of
from tests.waiting import LIMIT_S, until

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class Gateway:
    """A process of `run.py gateway`, or of another command that serves. Settings are named without their prefix."""

    def __init__(self, folder: Path, store: Mapping[str, str], command: str = "gateway", **settings: str) -> None:
        self.folder = folder
        self.store_settings = store  # empty on SQLite, whose file is in the data folder
        self.kind = "postgresql" if "database_url" in store else "sqlite"
        self.data = folder / "data"
        self.command = command
        self.settings = {
            "DATA_DIR": str(self.data),
            "PORT": str(free_port()),
            "WORKER_METRICS_PORT": "0",
            "RATE_LIMITS": "off",
            "WIRE": WIRES[self.kind],
            "LOG_FORMAT": "json",
            **{name.upper(): value for name, value in store.items()},
            **settings,
        }
        self.url = f"http://127.0.0.1:{self.settings['PORT']}"
        self.process: subprocess.Popen[str] | None = None
        self.printed: list[str] = []  # lines on the terminal since it is ready
        self.http = httpx.Client(
            base_url=self.url,
            timeout=LIMIT_S,
            trust_env=False,
            verify=False,  # for http, no certificates need be read: that would cost 30 ms of CPU time
            limits=httpx.Limits(max_connections=None),
        )
        self._threads = ThreadPoolExecutor(64)
        self._names = 0
        self._opened = settings_of(self.data, store)
        open_migrated(self._opened)
        disconnect()

    # The process

    def start(self) -> Gateway:
        """Start the process and wait until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        has_metrics = self.settings["WORKER_METRICS_PORT"] != "0"  # of a fork these would be the gateway's, too
        forks = {FORKS_THE_WORKER: "yes"} if self.command == "serve" and not has_metrics else {}
        self.process = Python[str](
            [ROOT / "run.py", self.command],
            env=environment | {f"BELLWIRE_{name}": value for name, value in self.settings.items()} | forks,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "stderr").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        ready = next((line for line in self.process.stdout if self.url in line), None)
        assert ready is not None, self.stderr()
        self.printed = [ready]
        threading.Thread(target=self.printed.extend, args=(self.process.stdout,), daemon=True).start()
        assert self.http.get("/readyz").status_code == 200
        return self

    def terminate(self) -> None:
        """Send SIGTERM, without waiting until the process ends."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill the process and start it again on the same store."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stop the process at the end of the test, and release its threads and connections."""
        if self.command == "serve" and self.process is not None:
            self.terminate()
            self.process.wait(LIMIT_S)
        self.kill()
        self._threads.shutdown()
        self.http.close()

    def stderr(self) -> str:
        """Return what the process has logged so far."""
        return (self.folder / "stderr").read_text()

    # The store

    @contextmanager
    def store(self) -> Iterator[None]:
        """Connect the models to the gateway's store, as another process may do."""
        connect(self._opened)
        try:
            yield
        finally:
            disconnect()

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a query on the gateway's database."""
        with self.store():
            return database.rows(sql, params)

    def execute(self, sql: str, *params: object) -> None:
        """Change the database directly, as an operator could."""
        with self.store():
            database.execute(sql, params)

    def dump(self) -> str:
        """Return the contents of all tables as text."""
        with self.store():
            return "\n".join(str(row) for model in TABLES for row in model.select().tuples())

    # Users

    def users(self, count: int, role: str = "user") -> list[Client]:
        """Create active users, each with a token."""
        names = [f"person{self._names + n}" for n in range(count)]
        self._names += count
        new = [NewUser(name, f"{name}@example.org", display_name=name.capitalize(), role=role) for name in names]
        with self.store(), event.transaction() as tx:
            users = registration.create_active(tx, new, [None] * count)
            tokens = [token.create(tx, new_user.id, "test") for new_user in users]
        return [Client(self, u.id, u.username, secret) for u, secret in zip(users, tokens, strict=True)]

    def user(self, role: str = "user") -> Client:
        """Create one active user with a token."""
        return self.users(1, role)[0]

    def anonymous(self) -> Client:
        """Return a client without a token."""
        return Client(self, 0, "", None)

    # Threads and metrics

    def later(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call on a thread."""
        return self._threads.submit(call, *args, **kwargs)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels; 0 when there are none."""
        return sum(value for sample_labels, value in self.samples(name) if labels.items() <= sample_labels.items())

    def samples(self, name: str) -> Sequence[tuple[dict[str, str], float]]:
        """Return all samples of a metric."""
        page = self.http.get("/metrics").text.splitlines(keepends=True)
        text = "".join(line for line in page if line.startswith((f"{name} ", f"{name}{{")))  # parsing the page takes 0.2 s
        return [(sample.labels, sample.value) for family in text_string_to_metric_families(text) for sample in family.samples]

    def waiting(self, count: int, transport: str = "poll") -> None:
        """Wait until this many subscriptions are open."""
        until(lambda: self.metric("bellwire_polls_open", transport=transport) == count)
