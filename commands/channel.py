"""The broker of the local channel, in the process of `serve`: it forwards each frame of a gateway to the others.

A member that does not read delays nobody: beyond a bound its frames are dropped, and it learns how many when it reads again.
jobs/infra/channel.py has the frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import cast

from jobs.infra.channel import JOIN, LOST, TO_ALL, TO_OLDEST, FrameBuffer, FrameError, encode

logger = logging.getLogger("serve")

MAX_PATH_BYTES = 100  # the kernel's own bound is 104 or 108
FOLDER_PREFIX = "bellwire-channel-"  # of the new folders
MAX_CONNECTIONS = 200
MAX_WAITING_BYTES = 1024 * 1024  # of frames for one member
BACKLOG = 64
CHECK_INTERVAL_S = 5.0  # between two checks that the socket's file is there
RESTART_DELAY_S = 0.5
STOP_TIMEOUT_S = 1.0
PEER_CREDENTIALS = struct.Struct("3i")  # process, user and group: unix(7)
ROOT_USER = 0


def socket_path(data_dir: Path, port: int) -> Path:
    """Return the path of the channel of the `serve` at a port: in the data folder, or if that name is too long, in a new folder."""
    path = data_dir.resolve() / f"channel-{port}.sock"
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX)) / "channel.sock"


class _Member(asyncio.Protocol):
    """A connection to the broker. Once it has joined it receives frames."""

    def __init__(self, broker: ChannelBroker) -> None:
        self.number = 0
        self._broker = broker
        self._frames = FrameBuffer()
        self._is_full = False
        self._dropped = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a process of this user in."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MAX_WAITING_BYTES, low=0)
        try:
            _require_own_process(self._transport.get_extra_info("socket"))
            self._broker.add(self)
        except FrameError as error:
            self._refuse(error)

    def data_received(self, data: bytes) -> None:
        """Forward what is whole."""
        try:
            for peer, body in self._frames.split(data):
                self._broker.forward(self, peer, body)
        except FrameError as error:
            self._refuse(error)

    def deliver(self, sender: int, body: bytes) -> None:
        """Send a frame, or drop it if too much waits."""
        if self._is_full:
            self._dropped += 1
        elif not self._transport.is_closing():
            self._transport.write(encode(sender, body))

    def pause_writing(self) -> None:
        """Drop frames from here on."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Deliver again, first the number of those that were dropped."""
        self._is_full = False
        dropped, self._dropped = self._dropped, 0
        if dropped:
            logger.warning("the channel dropped %d messages for a process that did not read", dropped)
            self.deliver(LOST, str(dropped).encode())

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection."""
        self._broker.remove(self)

    def close(self) -> None:
        """End the connection."""
        self._transport.abort()

    def _refuse(self, error: FrameError) -> None:
        logger.warning("the channel ended a connection: %s", error)
        self.close()


class ChannelBroker:
    """The channel's socket and its connections, on a thread with a loop of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers = itertools.count(1)
        self._connections: set[_Member] = set()
        self._joined: dict[int, _Member] = {}  # by their numbers, the oldest first
        self._socket: socket.socket | None = None
        self._inode = 0  # of the socket's file
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="channel", daemon=True)

    def start(self) -> None:
        """Open the socket and start the thread: from here on, processes may connect. Raises OSError."""
        self._socket = self._open()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and all connections, and remove the socket. May be called again."""
        self._stopping = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop_requested.set)
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:  # else it is another broker's, of a `serve` that has started meanwhile
                self.path.unlink()
        with contextlib.suppress(OSError):
            if self.path.parent.name.startswith(FOLDER_PREFIX):
                self.path.parent.rmdir()

    def add(self, connection: _Member) -> None:
        """Add a connection, and number it. Raises FrameError if there are too many."""
        if len(self._connections) >= MAX_CONNECTIONS:
            raise FrameError("too many are connected")
        connection.number = next(self._numbers)
        self._connections.add(connection)

    def remove(self, connection: _Member) -> None:
        """Remove a connection that has ended."""
        self._connections.discard(connection)
        self._joined.pop(connection.number, None)

    def forward(self, sender: _Member, peer: int, body: bytes) -> None:
        """Do as a frame says: deliver it, or let its sender join."""
        if peer == JOIN:
            self._joined.setdefault(sender.number, sender)
            return
        others = [member for member in self._joined.values() if member is not sender]
        if peer == TO_OLDEST:
            others = others[:1]
        elif peer != TO_ALL:
            others = [member for member in others if member.number == peer]
        for member in others:
            member.deliver(sender.number, body)

    def _open(self) -> socket.socket:
        listening = _listen(self.path)
        self._inode = self.path.stat().st_ino
        return listening

    def _run(self) -> None:
        while not self._stopping:
            try:
                asyncio.run(self._serve())
            except Exception:  # of any kind: the gateways connect again
                logger.exception("the channel failed; it is opened again")
                time.sleep(RESTART_DELAY_S)

    async def _serve(self) -> None:
        """Serve until stopped, or until somebody has removed the socket's file."""
        self._loop, self._stop_requested = asyncio.get_running_loop(), asyncio.Event()
        listening, self._socket = self._socket or self._open(), None
        server = await self._loop.create_unix_server(lambda: _Member(self), sock=listening, backlog=BACKLOG)
        try:
            while not self._stopping and self.path.exists():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop_requested.wait(), CHECK_INTERVAL_S)
        finally:
            server.close()
            for connection in list(self._connections):
                connection.close()


def _listen(path: Path) -> socket.socket:
    """Open a socket for this user only. Nobody can connect before its file has its mode. Raises OSError."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _require_own_process(connection: socket.socket) -> None:
    """Raise FrameError if the other end is a process of another user; where the system does not say it, the file's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    _pid, user, _group = PEER_CREDENTIALS.unpack(credentials)
    if user not in (os.geteuid(), ROOT_USER):
        raise FrameError(f"it is of user {user}")
