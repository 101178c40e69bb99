"""Python programs as processes of their own, whose imports are done already: each is a fork of `tests/fork_server.py`.

They have everything that a process has (an id, signals, a status, files, an environment), except a command line of their own in
the list of processes. Options of the interpreter in the environment (`PYTHONPATH` …) have no effect.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, AnyStr

from tests.waiting import LIMIT_S

ROOT = Path(__file__).resolve().parents[1]
EXECUTE_CHILD = inspect.signature(subprocess.Popen._execute_child)


class Requests:
    """The requests to a process that forks."""

    def __init__(self, requests: socket.socket) -> None:
        self._lock = threading.Lock()
        self._requests = requests

    def request(self, fds: Sequence[int] = (), **values: Any) -> int:
        """Return the answer: the id of a new process, or the status of one that has ended."""
        with self._lock:
            socket.send_fds(self._requests, [json.dumps(values).encode()], fds)
            answer = self._requests.recv(32)
        assert answer, "the fork server has ended"
        return int(answer)


class ForkServer(Requests):
    """The one process that forks for this process of pytest. It ends when its socket is closed, at the latest with this process."""

    def __init__(self) -> None:
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(own)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        with theirs:
            command = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()])
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._requests.close()
        self.process.wait(LIMIT_S)


_server: Requests | None = None
_starting = threading.Lock()


def server() -> Requests:
    """The fork server, which is started when it is needed first."""
    global _server
    with _starting:
        if _server is None:
            _server = ForkServer()
        return _server


class Python(subprocess.Popen[AnyStr]):
    """A process like one of `Popen([sys.executable, *arguments])`; the arguments are `-c CODE …` or `FILE …`."""

    forks = hasattr(os, "pidfd_open")  # Linux; elsewhere each program starts an interpreter

    def __init__(self, arguments: Sequence[str | Path], **options: Any) -> None:
        self._ended: int | None = None
        super().__init__([sys.executable, *map(str, arguments)], **options)

    def _execute_child(self, *values: Any) -> None:
        if not self.forks:
            super()._execute_child(*values)
            return
        given = EXECUTE_CHILD.bind(self, *values).arguments
        standard = enumerate((given["p2cread"], given["c2pwrite"], given["errwrite"]))
        cwd, env = given["cwd"], given["env"]
        passed = sorted(given["pass_fds"])
        self.pid = server().request(
            [*(own if handle == -1 else handle for own, handle in standard), *passed],
            passed=passed,
            argv=given["args"][1:],
            cwd=None if cwd is None else str(cwd),
            env=dict(os.environ) if env is None else env,
            new_session=given["start_new_session"],
        )
        self._ended = os.pidfd_open(self.pid)  # readable when the process has ended
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")))

    def _internal_poll(self, *values: Any, **options: Any) -> int | None:
        if self._ended is None:
            return super()._internal_poll(*values, **options)
        if self._waitpid_lock.acquire(blocking=False):  # otherwise another thread waits for the end
            try:
                if self.returncode is None and (ended := self._try_wait(os.WNOHANG))[0]:
                    self._handle_exitstatus(ended[1])
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._ended is None:
            return super()._try_wait(wait_flags)
        waiter = select.poll()
        waiter.register(self._ended, select.POLLIN)
        if not waiter.poll(0 if wait_flags & os.WNOHANG else None):
            return 0, 0
        os.close(self._ended)
        return self.pid, server().request(ended=self.pid)


def fork_the_worker(requests: socket.socket) -> None:
    """Let the worker of this `serve` be a fork of the process at the other end, instead of an interpreter of its own."""
    global _server
    _server = Requests(requests)

    def start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        return Python[bytes](command[1:], **options)

    supervisor = importlib.import_module("commands.supervisor")
    supervisor.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": start})  # type: ignore[attr-defined]


class Interpreter(Python[AnyStr]):
    """A process that really starts an interpreter and imports everything: for tests of how a program starts and ends."""

    forks = False


def run_python(arguments: Sequence[str | Path], *, input: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` does with `text` and `capture_output`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with Python[str](arguments, text=True, **pipes) as process:
        try:
            output, errors = process.communicate(input, LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
