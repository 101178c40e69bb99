"""A connection that waits too long for its server is closed; all others stay open."""

import socket

import pytest

from models.store import socket_watchdog
from models.store.socket_watchdog import SocketWatchdog


def test_a_connection_that_receives_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "CHECK_INTERVAL_S", 0.01)
    client_side, server_side = socket.socketpair()
    with client_side, server_side, SocketWatchdog().watch(client_side):
        assert client_side.recv(1) == b""


def test_a_connection_that_is_not_waiting_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "CHECK_INTERVAL_S", 0.01)
    watchdog = SocketWatchdog()
    idle, other = socket.socketpair()
    stuck, peer = socket.socketpair()
    with idle, other, stuck, peer:
        with watchdog.watch(idle):
            pass
        with watchdog.watch(stuck):
            assert stuck.recv(1) == b""
        idle.send(b"x")
        assert other.recv(1) == b"x"
