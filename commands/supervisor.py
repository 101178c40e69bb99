"""A process that `serve` keeps running: started, started again when it dies, stopped at the end. Here the worker; `gateways.py` has
the gateways."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from commands.advice import RUN_PY
from models.store.backoff import Backoff

logger = logging.getLogger("serve")

WORKER = (sys.executable, str(RUN_PY), "worker")
PARENT_FD = "BELLWIRE_PARENT_FD"

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 5.0
HEALTHY_S = 10.0  # a process that ran so long did not fail while starting: the next delay is the first again
KILL_AFTER_S = 3.0  # the rest of 5 s is for the gateway's own shutdown


class Supervisor:
    """Keeps one process running, from a thread of its own: the worker.

    The worker reads one end of a pipe whose other end only this process has: however this process dies, the pipe closes
    and the worker ends itself.
    """

    def __init__(self, command: Sequence[str] = WORKER, name: str = "worker") -> None:
        self._command = command
        self._name = name
        self._kill_after_s = KILL_AFTER_S
        self._lock = threading.Lock()  # nothing is started once stopping is set
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []  # one that is to follow the child, or that it has followed
        self._killer: threading.Timer | None = None
        self._backoff = Backoff(FIRST_DELAY_S, MAX_DELAY_S)
        self._child_end, self._own_end = os.pipe()  # inherited only through pass_fds
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the process. Returns at once."""
        self._thread.start()

    def restart(self) -> None:
        """Terminate the process, so that it is started again. Returns at once."""
        with self._lock:
            if self._child is not None:
                self._child.terminate()

    def stop(self) -> None:
        """Terminate the process, and kill it when it still runs after a while. Returns at once; may be called again."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
            for child in self._children():
                child.terminate()
            self._killer = threading.Timer(self._kill_after_s, self._kill)
            self._killer.daemon = True
            self._killer.start()

    def _children(self) -> list[subprocess.Popen[bytes]]:
        return [*self._others] if self._child is None else [self._child, *self._others]

    def _kill(self) -> None:
        for child in self._children():
            child.kill()

    def join(self) -> None:
        """Stop the process and wait until it has ended."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self._killer is not None:
            self._killer.cancel()
        for end in (self._own_end, self._child_end):
            os.close(end)

    def _run(self) -> None:
        delay = 0.0
        while not self._stopping.wait(delay):
            began = time.monotonic()
            status = self._run_once()
            if self._stopping.is_set():
                return
            delay = self._delay_s(time.monotonic() - began)
            logger.warning("the %s ended (%s); it is started again in %.1f s", self._name, status, delay)

    def _delay_s(self, lived_s: float) -> float:
        """Seconds to wait before a process that ended after `lived_s` is started again."""
        if lived_s >= HEALTHY_S:
            self._backoff.record_success()
        return self._backoff.record_failure()

    def _run_once(self) -> str:
        with self._lock:
            if self._stopping.is_set():
                return "stopped"
            try:
                if self._child is None or self._child.poll() is not None:
                    self._child = self._start()
            except OSError as error:  # no memory, no processes left
                return f"not started: {error.strerror}"
        return f"status {self._wait()}"

    def _wait(self) -> int:
        """Wait until the process has ended, and return its status."""
        assert self._child is not None
        return self._child.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env={**os.environ, PARENT_FD: str(self._child_end)},
            pass_fds=[self._child_end],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the terminal reaches this process alone, which stops the worker
        )
