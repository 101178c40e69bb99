"""Tornado's stream of a client's connection: beneath WebSockets, and beneath everything on Tornado's own wire."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.iostream import IOStream

from gateway.http.connections import Caller, ClientConnection, UnsentAnswers, silence_of
from gateway.http.lingering import Lingering
from gateway.http.pacing import Pace

MAX_DROPPED_READS = 16
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # as Tornado's HTTP1Connection writes it


class ClientStream(IOStream, ClientConnection):
    """A connection to a client, of which Tornado's buffer keeps the whole of a write until its last byte is sent."""

    def __init__(
        self, connection: socket.socket, unsent: UnsentAnswers, turns: Pace, crowd: Pace, caller: Caller, **options: Any
    ) -> None:
        ClientConnection.__init__(self, unsent, caller)
        self.refusal: Callable[[str], bytes] = lambda slug: BAD_REQUEST  # the answer to a request that reaches no handler
        self._was_refused = False
        self._turns, self._crowd = turns, crowd
        self._is_delayed = False
        IOStream.__init__(self, connection, **options)

    @property
    def sent(self) -> int:
        """The number of bytes that the operating system has accepted."""
        return self._total_write_done_index + self.sent_from_file

    @property
    def silent_s(self) -> float:
        """How long the client's host had acknowledged nothing when the system closed the connection for that; 0 otherwise."""
        return silence_of(self.error)

    def client_socket(self) -> socket.socket:
        """The socket, of a connection that has not ended. It stays the stream's."""
        return self.socket

    def write(self, data: bytes | memoryview) -> Any:
        """Write, and count the bytes if the client does not receive them at once."""
        if data == BAD_REQUEST:
            data = self.refusal("malformed")
        future = super().write(data)
        if self._write_buffer:
            self._answers.add(self, len(data))
        return future

    def reading(self) -> bool:
        """Tornado's method: nothing more is read while a request waits for its turn."""
        return super().reading() and not self._is_delayed

    def _read_from_buffer(self, pos: int) -> None:
        """Tornado's method; the head of a request waits for its caller's turn before it is parsed."""
        if self._read_regex is None:
            super()._read_from_buffer(pos)
        elif not self._is_delayed:
            self._is_delayed = True
            pace = self._turns if isinstance(self.caller, int) else self._crowd  # many people can have one address
            pace.begin(partial(self._go_on, pos), self.caller)

    def _go_on(self, pos: int) -> None:
        self._is_delayed = False
        super()._read_from_buffer(pos)  # of a connection that was closed meanwhile this has no effect

    def _check_max_bytes(self, delimiter: Any, size: int) -> None:
        """Tornado's method, which closes the connection when a head or a line of chunks is too long; answer it before."""
        if not self._was_refused and self._read_max_bytes is not None and size > self._read_max_bytes:
            self._refuse("headers-too-large" if self._read_regex is not None else "malformed")
        super()._check_max_bytes(delimiter, size)

    def _refuse(self, slug: str) -> None:
        """Answer a request that reaches no handler, and drop what it still sends: the client could lose the answer otherwise."""
        self._was_refused = True  # Tornado checks again while it closes
        super().write(self.refusal(slug))
        with contextlib.suppress(OSError):
            for _ in range(MAX_DROPPED_READS):
                if not self.socket.recv(self.read_chunk_size):
                    break

    def _handle_write(self) -> None:
        super()._handle_write()
        if self.unsent and not self._write_buffer:
            self._answers.remove(self)

    def close(self, exc_info: Any = False) -> None:
        """Close the connection, and release what it has not sent."""
        super().close(exc_info)
        self._answers.remove(self)

    def close_fd(self) -> None:
        """Tornado's hook: close the socket."""
        if self.lingers:
            Lingering.begin(self.socket)
            self.socket = None  # type: ignore[assignment]
        else:
            super().close_fd()
