"""A real redis-server on a free port. Tests stop, restart, flush or suspend it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from time import monotonic, sleep

import redis

from tests.stores import free_port, program
from tests.waiting import LIMIT_S


class RedisServer:
    """A server that stores nothing on disk: it is empty after a restart, as it may be after a crash."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bellwire-redis-"))
        self._options = options or ("--port", str(self.port), "--save", "", "--appendonly", "no")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client for the test."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [program("redis-server"), *self._options, "--bind", "127.0.0.1", "--dir", str(self.folder)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = monotonic() + LIMIT_S
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert monotonic() < deadline, "it never answered"
            sleep(0.02)
        return self

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def hang(self) -> None:
        """Suspend it: it accepts connections and does not answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume it."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder)
