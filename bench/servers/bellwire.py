"""A fresh Bellwire on a free port, with its data in a temporary folder; both are removed at the end."""

import os
import signal
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

from bench.servers.processes import arguments, free_port, launch, listener, stop, tree

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_TIMEOUT_S = 300.0
START_TIMEOUT_S = 30.0  # for a first start, with an empty page cache


class StartFailed(Exception):
    """A server did not start; the message ends with the end of its output."""


def wait_for(ready: Callable[[], bool], running: Sequence[subprocess.Popen[bytes]], output: IO[bytes]) -> None:
    """Return when `ready` is true; raise StartFailed when one of the processes ended, or after START_TIMEOUT_S."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if any(process.poll() is not None for process in running) or time.monotonic() > deadline:
            output.seek(0)
            raise StartFailed(output.read().decode()[-2000:])
        time.sleep(0.02)


class Bellwire:
    """One instance with default settings: full durability, and rate limits on."""

    def __init__(self, folder: Path, settings: Mapping[str, str], root: Path = ROOT) -> None:
        self.folder, self.root = folder, root
        self.port, self.worker_port = free_port(), free_port()
        self.admin_token = ""
        self._settings = settings
        self._running: list[subprocess.Popen[bytes]] = []
        self._output = (folder / "output.log").open("a+b")

    def env(self) -> dict[str, str]:
        """Return the environment without any Bellwire setting but ours."""
        # With PYTHONDONTWRITEBYTECODE each start would compile all modules, and be measured with it.
        own = ("BELLWIRE_", "PYTHONDONTWRITEBYTECODE")
        env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return {
            **env,
            "BELLWIRE_DATA_DIR": str(self.folder / "data"),
            "BELLWIRE_PORT": str(self.port),
            "BELLWIRE_WORKER_METRICS_PORT": str(self.worker_port),
            **self._settings,
        }

    def run(self, *arguments: str, timeout_s: float = RUN_TIMEOUT_S) -> bytes:
        """Run Python with these arguments and the server's settings to its end; return its output."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.root, env=self.env(), capture_output=True, timeout=timeout_s)
        if done.returncode:
            raise StartFailed(f"{' '.join(arguments)}: {done.stderr.decode()[-2000:]}")
        return done.stdout

    def start(self, command: str, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start `serve`, `gateway` or `worker` and return at once."""
        env = {**self.env(), "BELLWIRE_PORT": str(port or self.port)}
        process = launch([sys.executable, "run.py", command], self.root, self._output, env)
        self._running.append(process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker; return its process when its metrics page answers."""
        process = self.start("worker")
        self.wait(self.worker_metrics)
        return process

    def start_second_gateway(self) -> int:
        """Start one more gateway on the same store; return its port when it is ready."""
        port = free_port()
        self.start("gateway", port)
        self.wait(f"http://127.0.0.1:{port}/readyz")
        return port

    def wait(self, url: str) -> None:
        """Return when `url` answers 200; raise StartFailed when a process ended, or after START_TIMEOUT_S."""
        wait_for(lambda: answers_200(url), self._running, self._output)

    def create_admin(self) -> None:
        """Create the first admin; the command prints the id and, as the last word, a token."""
        output = self.run("run.py", "create-admin", "--username", "root", "--email", "root@example.org")
        self.admin_token = output.split()[-1].decode()

    def stop(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """Stop one process, or all, the newest first."""
        for running in [process] if process else self._running[::-1]:
            stop(running)
            self._running.remove(running)

    def kill_gateway(self) -> None:
        """Kill the gateway's process group without a warning; it must have been started as `gateway`."""
        pid = self.gateway_pid()
        process = next(running for running in self._running if running.pid == pid)
        os.killpg(pid, signal.SIGKILL)
        process.wait()
        self._running.remove(process)

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

    def gateway_pids(self) -> list[int]:
        """Return every process that answers on the port; more than one with BELLWIRE_GATEWAYS."""
        supervised = [pid for pid in self.pids() if arguments(pid)[-1:] == ["gateway"]]
        return supervised or [self.gateway_pid()]

    def database_bytes(self) -> int:
        """Return the size of the data folder's files."""
        return sum(path.stat().st_size for path in (self.folder / "data").rglob("*") if path.is_file())


def answers_200(url: str) -> bool:
    """Return whether `url` answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@contextmanager
def bellwire(*, worker: bool = True, settings: Mapping[str, str] | None = None, root: Path = ROOT) -> Iterator[Bellwire]:
    """Run a fresh instance of the code in `root`, with its worker (`serve`), or a gateway alone."""
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-") as folder:
        server = Bellwire(Path(folder), settings or {}, root)
        try:
            if not worker:
                server.run("run.py", "migrate")
            server.start("serve" if worker else "gateway")
            server.wait(server.base + "/readyz")
            server.create_admin()
            if worker:
                server.wait(server.worker_metrics)
            yield server
        finally:
            server.stop()
