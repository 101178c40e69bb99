"""One gateway among several of a supervisor's, as `serve` starts them: its listening sockets, and the end of its work.

Each gateway has a queue of connections of its own on the shared port, and another port that is its alone. The sockets stay open in
the supervisor, so a connection to a gateway that dies, or that is replaced, waits for the next one and is not refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable

import msgspec

from conf import Settings
from gateway.http.deadlines import Server
from gateway.http.metrics_pages import MetricsPages
from gateway.http.wire.server import WireServer

ACCEPT_FOR_SIBLINGS_S = 0.2  # a connection waits at most so long for a gateway that is dead, stopped or starting
EXIT_WITHIN_S = 15.0  # of the supervisor's end, when the loop hangs
READY = b"r"


class Supervised(msgspec.Struct, frozen=True):
    """The numbers of the inherited descriptors, and the addresses of all gateways. `number` is from 1, as `ports` are in order."""

    number: int
    control: int
    shared: list[int]
    own: list[int]
    siblings: list[int]
    ports: list[int]
    key: str

    def sockets(self) -> list[socket.socket]:
        """The sockets on which this gateway listens: of the shared port first."""
        return [_listening(descriptor) for descriptor in (*self.shared, *self.own)]

    def report_ready(self) -> None:
        """Let the supervisor know that this gateway serves."""
        with contextlib.suppress(OSError):  # the supervisor has ended, which `watch` notices
            os.write(self.control, READY)

    def watch(self, on_successor: Callable[[], object], on_orphaned: Callable[[], object]) -> None:
        """Call these on a thread: when another process serves in the place of this one, and when the supervisor has ended; this
        process exits when it hangs then."""
        threading.Thread(target=_watch, args=(self.control, on_successor, on_orphaned), name="supervisor", daemon=True).start()

    def pages(self, settings: Settings) -> MetricsPages:
        """The metrics pages of all gateways."""
        return MetricsPages(settings.host, self.number, self.ports, self.key)


class SiblingQueues:
    """The queues of connections of the other gateways. One that runs has emptied its own: what still waits after a while is for a
    gateway that does not run, or is too busy."""

    def __init__(self, supervised: Supervised | None) -> None:
        self._sockets = [] if supervised is None else [_listening(descriptor) for descriptor in supervised.siblings]

    async def run(self, server: Server | WireServer) -> None:
        """Accept from them several times a second, until they are closed."""
        while self._sockets:
            await asyncio.sleep(ACCEPT_FOR_SIBLINGS_S)
            self.accept(server)

    def accept(self, server: Server | WireServer) -> None:
        """Accept some of the connections that wait."""
        for listening in self._sockets:
            with contextlib.suppress(OSError):  # no descriptor is left
                server.accept_waiting(listening)

    def close(self) -> None:
        """Accept no more; the queues stay open in the other processes."""
        for listening in self._sockets:
            listening.close()
        self._sockets = []


def _listening(descriptor: int) -> socket.socket:
    listening = socket.socket(fileno=descriptor)
    listening.settimeout(0)
    return listening


def _watch(control: int, on_successor: Callable[[], object], on_orphaned: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        with contextlib.suppress(OSError):  # as if it were closed
            while os.read(control, 1):
                on_successor()
        hard_exit = threading.Timer(EXIT_WITHIN_S, os._exit, (1,))
        hard_exit.daemon = True
        hard_exit.start()
        on_orphaned()
