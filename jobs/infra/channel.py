"""The local channel: messages between the gateways and the worker of one `serve`, over a Unix socket of its process.

The broker (commands/channel.py) forwards each frame of one member to the others, and never reads what is in it. Frames may be lost:
nothing is sent here that must arrive.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from models.store.backoff import Backoff

VARIABLE = "BELLWIRE_CHANNEL"  # the path of the socket; passed between processes, not a setting
MAX_BODY_BYTES = 256 * 1024
MAX_UNSENT_BYTES = 1024 * 1024  # of a member whose broker does not read
RECEIVED_BYTES = 64 * 1024
CONNECT_TIMEOUT_S = 1.0
FIRST_RETRY_S, MAX_RETRY_S = 0.5, 5.0
HEAD = struct.Struct("!II")  # the length of the body, and a peer
# The peer of a frame to the broker: the number of a member, or one of these.
TO_ALL = 0  # every other member
TO_OLDEST = 0xFFFFFFFF  # the one that has been a member for longest, the sender excepted
JOIN = 0xFFFFFFFE  # no frame for others: from here on, the sender is a member and receives frames
# The peer of a frame from the broker: the number of its sender, or this one.
LOST = 0  # frames for this member were dropped: the body is their number
# The kinds of messages: the first byte of a body.
HINT = b"h"  # the id of an event that was committed
EPHEMERAL = b"e"
COUNTS, COUNTS_REQUEST = b"c", b"r"  # of rate limits


class FrameError(ValueError):
    """The bytes are not frames."""


class Frame(NamedTuple):
    """One message."""

    peer: int
    body: bytes


def encode(peer: int, body: bytes) -> bytes:
    """Return a frame's bytes. Raises FrameError if the body is too long."""
    if len(body) > MAX_BODY_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes")
    return HEAD.pack(len(body), peer) + body


class FrameBuffer:
    """The bytes of a connection that are not a whole frame yet: fewer than those of the longest frame."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def split(self, received: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole with these bytes. Raises FrameError."""
        self._bytes += received
        start = 0
        try:
            while len(self._bytes) - start >= HEAD.size:
                length, peer = HEAD.unpack_from(self._bytes, start)
                if length > MAX_BODY_BYTES:
                    raise FrameError(f"a frame of {length} bytes")
                end = start + HEAD.size + length
                if end > len(self._bytes):
                    return
                body = bytes(self._bytes[start + HEAD.size : end])
                start = end
                yield Frame(peer, body)
        finally:
            del self._bytes[:start]


def path() -> str | None:
    """Return the channel's path, if this process has one."""
    return os.environ.get(VARIABLE) or None


class ChannelConnection:
    """One connection to the broker. Any thread may send, and one thread receives. Each method raises OSError when it is lost."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sending = threading.Lock()
        self._unsent = bytearray()
        self._frames = FrameBuffer()
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.connect(path)
            self._socket.settimeout(0)
        except BaseException:
            self._socket.close()
            raise

    def send(self, peer: int, body: bytes) -> bool:
        """Send a frame without waiting for anybody. Return False when it was dropped: the broker has not read for long."""
        frame = encode(peer, body)
        with self._sending:
            if len(self._unsent) + len(frame) > MAX_UNSENT_BYTES:
                return False
            self._unsent += frame
            self._flush()
        return True

    def receive(self, timeout_s: float) -> list[Frame]:
        """Return the next frames; none when the time is over. Raises FrameError, too."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        events = poll.poll(timeout_s * 1000)
        if events and events[0][1] & select.POLLOUT:
            with self._sending:
                self._flush()
        received = b""
        with contextlib.suppress(BlockingIOError):
            received = self._socket.recv(RECEIVED_BYTES)
            if not received:
                raise ConnectionResetError("the channel was closed")
        return list(self._frames.split(received))

    def flush(self, timeout_s: float) -> bool:
        """Wait until the broker has read what was sent, at most so long. Return whether it has."""
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        deadline = time.monotonic() + timeout_s
        while self._unsent and (left_s := deadline - time.monotonic()) > 0:
            poll.poll(left_s * 1000)
            with self._sending:
                self._flush()
        return not self._unsent

    def close(self) -> None:
        """End the connection."""
        with self._sending:
            self._socket.close()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            del self._unsent[:sent]


class HintSender:
    """Sends hints to the gateways, for a process that receives none. It connects again when an attempt is due."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: ChannelConnection | None = None
        self._connecting = threading.Lock()
        self._backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)

    def hint(self, newest: int) -> None:
        """Announce the id of an event that was committed. For any thread; it is lost while there is no connection."""
        with self._connecting:
            try:
                if self._connection is None and self._backoff.is_due():
                    self._connection = ChannelConnection(self._path)
                    self._backoff.record_success()
                if self._connection is not None:
                    self._connection.send(TO_ALL, HINT + b"%d" % newest)
            except OSError:
                self._backoff.record_failure()
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
