"""Connections that were answered while their client was still sending.

A socket that is closed with unread bytes resets the connection, and the client may lose the answer. So what it still sends is
dropped for a while, bounded in bytes and time, as other servers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

LINGER_S = 30.0  # altogether
SILENCE_S = 10.0  # without anything from the client
MAX_DROPPED_BYTES = 32 * 1024 * 1024  # most clients send the whole of a body before they read
MAX_LINGERING = 100
_dropped = bytearray(64 * 1024)
_lingering: dict[Lingering, None] = {}  # the oldest first


class Lingering:
    """A connection that is read, and closed when its client has read the answer and closes it, or at a bound."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._left = MAX_DROPPED_BYTES
        self._ends_at = self._loop.time() + LINGER_S
        self._timer = self._loop.call_later(SILENCE_S, self.close)
        self._received_at = self._loop.time()

    @classmethod
    def begin(cls, connection: socket.socket) -> None:
        """Take over a connection whose answer is written."""
        try:
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # the client has disconnected
            connection.close()
            return
        if len(_lingering) >= MAX_LINGERING:
            next(iter(_lingering)).close()
        lingering = cls(connection)
        _lingering[lingering] = None
        lingering._loop.add_reader(connection, lingering._drop)

    def _drop(self) -> None:
        """Read once: other connections have their turn between two reads."""
        try:
            count = self._connection.recv_into(_dropped)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self._left -= count
        now = self._loop.time()
        if not count or self._left <= 0 or now >= self._ends_at:
            self.close()
        elif now - self._received_at > 1:
            self._received_at = now
            self._timer.cancel()
            self._timer = self._loop.call_later(min(SILENCE_S, self._ends_at - now), self.close)

    def close(self) -> None:
        """Close the connection."""
        if _lingering.pop(self, self) is None:
            self._timer.cancel()
            self._loop.remove_reader(self._connection)
            with contextlib.suppress(OSError):
                self._connection.close()
