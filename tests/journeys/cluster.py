"""A cluster: one store, gateways and workers as processes, and queries for what is stored in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.consumers.activity import ActivityConsumer
from jobs.consumers.notify import NotifyConsumer
from models.log import checkpoint
from models.store.database import disconnect, rows
from tests.models.people import credentials, people
from tests.python import Python
from tests.stores import environment, free_port, open_migrated, settings_of
from tests.waiting import LIMIT_S, until

ROOT = Path(__file__).parents[2]


def rounds(default: int) -> int:
    """The number of rounds of a fault run. JOURNEY_ROUNDS multiplies it, to search for rare faults."""
    return default * int(os.environ.get("JOURNEY_ROUNDS", "1"))


def seed() -> int:
    """JOURNEY_SEED or a random seed, which is printed so that a failure can be repeated (as far as processes allow)."""
    chosen = int(os.environ.get("JOURNEY_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"JOURNEY_SEED={chosen}")
    return chosen


class Cluster:
    """A store in a temporary folder and the processes started on it. Each user has a token: `token[user]`."""

    def __init__(self, folder: Path, store: Mapping[str, str] | None = None) -> None:
        self.store = store or {}  # settings of the database; empty for SQLite in the data folder
        self.others: dict[str, str] = {}  # settings of the processes that are started from now on
        self.settings = settings_of(folder / "data", self.store)
        self.ports: list[int] = []
        self.token: dict[int, str] = {}
        self._folder = folder
        self._gateways: dict[int, subprocess.Popen[bytes]] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        open_migrated(self.settings)

    def people(self, *names: str, role: str = "user") -> list[int]:
        """Create active users with a token each; returns their ids."""
        made = people(*names, role=role)
        self.token.update(zip(made, credentials(*made), strict=True))
        return made

    def start_gateway(self, port: int | None = None, script: Path | None = None) -> int:
        """Start a gateway, on a new port or on that of an earlier one; returns its port once it serves."""
        if port is None:
            port = free_port()
            self.ports.append(port)
        self._gateways[port] = self.run(*([script] if script else [ROOT / "run.py", "gateway"]), port=port)
        until(lambda: self.serves(port))
        return port

    def serves(self, port: int) -> bool:
        """Whether the gateway answers. Fails when its process has ended."""
        ended = self._gateways[port].poll()
        assert ended is None, f"the gateway ended with {ended}:\n{self.logged()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return True
        except OSError:
            return False

    def metrics(self, port: int) -> str:
        """The gateway's metrics page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as answer:
            return str(answer.read().decode())

    def process(self, port: int) -> subprocess.Popen[bytes]:
        """The process of the gateway on a port."""
        return self._gateways[port]

    def kill_gateway(self, port: int) -> None:
        """Kill a gateway with SIGKILL."""
        self._gateways[port].kill()
        self._gateways[port].wait()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.run(ROOT / "run.py", "worker", port=0)

    def run(self, *command: str | Path, port: int) -> subprocess.Popen[bytes]:
        """Start a Python program with the settings of this cluster."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        env |= {
            "BELLWIRE_DATA_DIR": str(self.settings.data_dir),
            "BELLWIRE_PORT": str(port or 1),
            "BELLWIRE_RATE_LIMITS": "off",
            "BELLWIRE_WORKER_METRICS_PORT": "0",
            **environment({**self.store, **self.others}),
        }
        with (self._folder / f"{len(self._started)}.log").open("wb") as log:
            process = Python[bytes](command, cwd=self._folder, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def logged(self) -> str:
        """The output of all processes."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def close(self) -> None:
        """Kill all processes and disconnect from the store."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        disconnect()


def visible(user: int) -> list[tuple[int, str, str]]:
    """(id, type, data) of all events that a user may see, in order, from the stored intervals of memberships."""
    return rows(
        "SELECT e.id, e.type, e.data FROM events e WHERE e.stream=? UNION "
        "SELECT e.id, e.type, e.data FROM memberships m JOIN events e ON e.stream='conversation:' || m.conversation_id "
        "WHERE m.user_id=? AND e.id>=m.from_event AND (m.to_event IS NULL OR e.id<m.to_event) ORDER BY 1",
        (f"user:{user}", user),
    )


def drained(consumers: Sequence[str] = ("notify", "activity")) -> bool:
    """Whether these consumers have processed the whole log."""
    by_name = {consumer.name: consumer for consumer in (NotifyConsumer(), ActivityConsumer({}))}
    stored = checkpoint.all_positions()
    for name in consumers:
        positions = {part: stored.get(name, {}).get(part.number, (-1, 0))[0] for part in by_name[name].parts()}
        if min(positions.values()) < 0 or checkpoint.oldest_unread_by_part(positions, by_name[name].types):
            return False
    return True
