"""Several gateways on one port: the processes of `serve` when BELLWIRE_GATEWAYS is more than 1.

Each gateway has a listening socket of its own on the shared port (SO_REUSEPORT): the kernel spreads connections over the sockets by
a hash. Of 2,000 connections that came one by one, 2 processes accepted 998 and 1,002, and 4 from 484 to 517. With one socket that
all inherit, those that woke first got most (4 processes: 279 to 765, all of which woke for each connection), and with
EPOLLEXCLUSIVE it was nearly always the same one (1,996 and 4), which would have all the polls.

The sockets are opened here and stay open here, so nothing is refused while a gateway is dead or replaced: a connection waits in its
socket's queue for the next one, or for a sibling, which looks there five times a second (`gateway/supervised.py`).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from commands.advice import RUN_PY
from commands.supervisor import Supervisor

logger = logging.getLogger("serve")

GATEWAY = (sys.executable, str(RUN_PY), "gateway")
VARIABLE = "BELLWIRE_SUPERVISED"  # gateway/supervised.py as JSON; passed between two processes, not a setting
KILL_AFTER_S = 4.8  # a gateway ends within 4 s of SIGTERM
READY_WITHIN_S = 60.0  # of its start; a busy machine may need ten
RETIRED_WITHIN_S = 40.0  # it waits for files on their way for 30 s
RETIRE = b"r"


class Listening(NamedTuple):
    """The sockets of one gateway: its share of the common port, and those of the port that it has alone."""

    shared: list[socket.socket]
    own: list[socket.socket]
    port: int


class GatewayProcess(subprocess.Popen[bytes]):
    """A gateway, and the socket on which it reports that it is ready, and on which it is retired. It ends when this end closes."""

    def __init__(self, number: int, listening: list[Listening], key: str) -> None:
        self.control, theirs = socket.socketpair()
        here = listening[number - 1]
        inherited = {
            "shared": _descriptors(here.shared),
            "own": _descriptors(here.own),
            "siblings": sorted({fd for one in listening for fd in _descriptors(one.shared)} - set(_descriptors(here.shared))),
        }
        place = {"number": number, "control": theirs.fileno(), "key": key, "ports": [one.port for one in listening], **inherited}
        try:
            super().__init__(
                GATEWAY,
                env={**os.environ, VARIABLE: msgspec.json.encode(place).decode()},
                pass_fds=[theirs.fileno(), *(descriptor for group in inherited.values() for descriptor in group)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # as for the worker: signals of the terminal reach the supervisor alone
            )
        except BaseException:
            self.control.close()
            raise
        finally:
            theirs.close()

    def is_ready(self, within_s: float | None = None) -> bool:
        """Wait until it serves, or has ended. It says so once."""
        self.control.settimeout(within_s)
        try:
            return bool(self.control.recv(1))
        except OSError:  # a time-out is one
            return False

    def retire(self) -> None:
        """Let it stop accepting, answer what it has, and end."""
        with suppress(OSError):  # it has ended
            self.control.send(RETIRE)


class Gateway(Supervisor):
    """Keeps one of the gateways running, and replaces it by another process without a pause."""

    def __init__(self, start: Callable[[], GatewayProcess], name: str, on_ready: Callable[[], None]) -> None:
        super().__init__(GATEWAY, name)
        self._kill_after_s = KILL_AFTER_S
        self._start_process = start
        self._on_ready = on_ready
        self._child: GatewayProcess | None

    def replace(self) -> bool:
        """Start another process and, when it is ready, retire this one. Return whether that was done.

        A process that does not become ready is killed, and this one stays.
        """
        try:
            with self._lock:
                if self._stopping.is_set():
                    return False
                new = self._start()
                self._others = [new]
        except OSError as error:
            logger.error("reload_failed: the %s could not be started: %s", self._name, error.strerror)
            return False
        is_ready = new.is_ready(READY_WITHIN_S)
        with self._lock:
            leaving = self._child if is_ready else new
            if is_ready:
                self._child = new
                self._others = [] if leaving is None else [leaving]
                self._on_ready()
        if leaving is not None:
            self._end(leaving, at_once=not is_ready)
        with self._lock:
            self._others = []
        return is_ready

    def _end(self, leaving: GatewayProcess, *, at_once: bool) -> None:
        leaving.retire()
        try:
            leaving.wait(0 if at_once else RETIRED_WITHIN_S)
        except subprocess.TimeoutExpired:
            leaving.kill()
            leaving.wait()
        leaving.control.close()

    def _start(self) -> GatewayProcess:
        return self._start_process()

    def _wait(self) -> int:
        """Wait until the process has ended that has not been replaced meanwhile, and return its status."""
        while True:
            child = self._child
            assert child is not None
            if child.is_ready():
                self._on_ready()
            status = child.wait()
            with self._lock:
                if child is self._child:
                    child.control.close()
                    return status


class Gateways:
    """All gateways of one port. `on_ready` is called on some thread when one serves for the first time, with how many have."""

    def __init__(self, listening: list[Listening], on_ready: Callable[[int], None]) -> None:
        self._listening = listening
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self._not_ready = set(range(1, len(listening) + 1))
        key = secrets.token_hex(16)
        self._gateways = [
            Gateway(partial(GatewayProcess, number, listening, key), f"gateway {number}", partial(self._is_ready, number))
            for number in sorted(self._not_ready)
        ]

    def start(self) -> None:
        """Start all, at the same time."""
        for gateway in self._gateways:
            gateway.start()

    def replace(self) -> bool:
        """Replace one after the other, each when the one before has ended. Stop at the first that can't be replaced."""
        return all(gateway.replace() for gateway in self._gateways)

    def stop(self) -> None:
        """Stop all, gracefully. Returns at once; may be called again."""
        for gateway in self._gateways:
            gateway.stop()
        for socket_ in (each for one in self._listening for each in (*one.shared, *one.own)):
            socket_.close()  # connections are refused when the last gateway has closed its own

    def join(self) -> None:
        """Stop all and wait until they have ended."""
        self.stop()
        for gateway in self._gateways:
            gateway.join()

    def _is_ready(self, number: int) -> None:
        with self._lock:
            if number not in self._not_ready:
                return
            self._not_ready.discard(number)
            self._on_ready(len(self._gateways) - len(self._not_ready))


def _descriptors(sockets: list[socket.socket]) -> list[int]:
    return [each.fileno() for each in sockets]
