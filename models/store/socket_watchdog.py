"""A watchdog that cuts connections whose server accepts data and does not answer. TCP's own time limits do not end these, because
the server's kernel still acknowledges."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

CUT_AFTER_S = 8.0  # the server's own limit for a statement is shorter
CHECK_INTERVAL_S = 1.0


class Connection(Protocol):
    """An object with a socket."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""


class SocketWatchdog:
    """One thread for the process, which cuts connections that wait longer than CUT_AFTER_S. The waiting thread gets the driver's
    error for a lost connection."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Connection, float]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, connection: Any) -> Iterator[None]:
        """Watch one statement of this thread."""
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
                self._thread = threading.Thread(target=self._run, name="socket-watchdog", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        never = threading.Event()
        while not never.wait(CHECK_INTERVAL_S):
            for connection, since in list(self._waiting.values()):
                if time.monotonic() - since > CUT_AFTER_S:
                    cut(connection)


def cut(connection: Connection) -> None:
    """Shut down the socket of a connection that another thread waits on."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as other:
            other.shutdown(socket.SHUT_RDWR)
    except Exception:  # noqa: S110 - the connection has ended meanwhile
        pass
