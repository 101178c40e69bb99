"""A fresh Bellwire, or a floor, on a free port in a temporary folder; everything is stopped and removed at the end."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.processes import free_port, launch, listener, stop, tree

ROOT = Path(__file__).resolve().parent.parent
RUN = ("run.py",)
START_S = 30.0  # for a first start, with an empty page cache


class StartFailed(Exception):
    """A server did not come up; the message ends with what it printed last."""


def wait_for(answers: Callable[[], bool], running: Sequence[subprocess.Popen[bytes]], said: Callable[[], str]) -> None:
    """Return when something answers; raise StartFailed, with the end of what was said, when one of its processes ended or after
    START_S."""
    deadline = time.monotonic() + START_S
    while not answers():
        if any(process.poll() is not None for process in running) or time.monotonic() > deadline:
            raise StartFailed(said()[-2000:])
        time.sleep(0.02)


def all_of(tx: IO[bytes]) -> str:
    """Return what was written to a log."""
    tx.seek(0)
    return tx.read().decode()


class Bellwire:
    """One instance: default settings and full durability, with the rate limits off."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, program: Sequence[str] = RUN) -> None:
        """Choose the ports; `folder` holds its data, `settings` are environment variables, `program` what Python is to run."""
        self.folder = folder
        self._program = program
        self._settings = settings or {}
        self.port, self.worker_port = free_port(), free_port()
        self.admin_token = ""
        self._running: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "output.log").open("ab")

    def env(self) -> dict[str, str]:
        """Return the environment: ours without any Bellwire setting, and the few that must differ."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        return {
            **env,
            "BELLWIRE_DATA_DIR": str(self.folder / "data"),
            "BELLWIRE_PORT": str(self.port),
            "BELLWIRE_RATE_LIMITS": "off",
            "BELLWIRE_WORKER_METRICS_PORT": str(self.worker_port),
            **self._settings,
        }

    def run(self, *arguments: str) -> str:
        """Run one command of `run.py` to its end and return what it printed."""
        command = [sys.executable, "run.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env(), capture_output=True, text=True, timeout=START_S)
        if done.returncode:
            raise StartFailed(f"run.py {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, command: str, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start `serve`, `gateway` or `worker` and return at once."""
        env = {**self.env(), "BELLWIRE_PORT": str(port or self.port)}
        process = launch([sys.executable, *self._program, command], ROOT, self._log, env)
        self._running.append(process)
        return process

    def another_gateway(self) -> tuple[int, subprocess.Popen[bytes]]:
        """Start one more gateway on the same store; return its port and its process when it is ready."""
        port = free_port()
        process = self.start("gateway", port)
        self.wait(f"http://127.0.0.1:{port}/readyz")
        return port, process

    def wait(self, url: str) -> None:
        """Return when `url` answers 200; raise StartFailed when a process of ours ended, or after START_S."""
        wait_for(lambda: answers(url), self._running, (self.folder / "output.log").read_text)

    def make_admin(self) -> None:
        """Make the first admin; the command prints the id and, as the last word, a token."""
        printed = self.run("create-admin", "--username", "root", "--email", "root@example.org")
        self.admin_token = printed.split()[-1]

    def stop(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """Stop one process, or all, the newest first."""
        for running in [process] if process else self._running[::-1]:
            stop(running)
            self._running.remove(running)

    @property
    def base(self) -> str:
        """The gateway's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def worker_metrics(self) -> str:
        """The URL of the worker's metrics page."""
        return f"http://127.0.0.1:{self.worker_port}/metrics"

    def pids(self) -> list[int]:
        """Return every process of the instance."""
        return [pid for process in self._running for pid in tree(process.pid)]

    def gateway_pid(self) -> int:
        """Return the process that listens on the port."""
        return listener(self.port, self.pids())

    def database_bytes(self) -> int:
        """Return the size of the data folder's files."""
        return sum(path.stat().st_size for path in (self.folder / "data").rglob("*") if path.is_file())


def answers(url: str) -> bool:
    """Tell whether `url` answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@contextmanager
def bellwire(worker: bool = True, settings: Mapping[str, str] | None = None, program: Sequence[str] = RUN) -> Iterator[Bellwire]:
    """Run a fresh instance with its worker (`serve`), or the gateway alone; `settings` may name other stores, and
    `program` what serves in run.py's place."""
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-") as folder:
        server = Bellwire(Path(folder), settings, program)
        try:
            if not worker:
                server.run("migrate")
            server.start("serve" if worker else "gateway")
            server.wait(server.base + "/readyz")
            server.make_admin()
            if worker:
                server.wait(server.worker_metrics)
            yield server
        finally:
            server.stop()


class Floor:
    """A running floor: its port and its process."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        """Keep both."""
        self.port, self.process = port, process

    def gateway_pid(self) -> int:
        """Return its only process."""
        return self.process.pid


@contextmanager
def floor() -> Iterator[Floor]:
    """Run the floors' server."""
    port = free_port()
    with tempfile.TemporaryFile() as tx:
        process = launch([sys.executable, "-m", "bench.floors", str(port)], ROOT, tx)
        try:
            wait_for(lambda: _listens(port), [process], lambda: all_of(tx))
            yield Floor(port, process)
        finally:
            stop(process)


def _listens(port: int) -> bool:
    """Tell whether the floor answers: an unknown path is a 404, which is an answer."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
