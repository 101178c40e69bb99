"""Cutting connections whose server accepts and says nothing: its kernel goes on acknowledging, so no time limit of TCP's would."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

CUT_AFTER_S = 8.0  # the server's own limit for a statement is shorter
LOOK_EVERY_S = 1.0


class Connection(Protocol):
    """What has a socket."""

    def fileno(self) -> int:
        """The socket's descriptor."""


class SocketWatchdog:
    """One thread a process, which cuts what waits for too long. Who waits gets the driver's error of a lost connection."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Connection, float]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, connection: Any) -> Iterator[None]:
        """Watches one statement of this thread."""
        if self._thread is None:
            self._start()
        thread = threading.get_ident()
        self._waiting[thread] = connection, time.monotonic()
        try:
            yield
        finally:
            self._waiting.pop(thread, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="hung", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        never = threading.Event()
        while not never.wait(LOOK_EVERY_S):
            for connection, since in list(self._waiting.values()):
                if time.monotonic() - since > CUT_AFTER_S:
                    cut(connection)


def cut(connection: Connection) -> None:
    """Shuts the socket of a connection that another thread waits on."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as other:
            other.shutdown(socket.SHUT_RDWR)
    except Exception:  # noqa: S110 - it has ended meanwhile
        pass
