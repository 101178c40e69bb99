"""A connection whose server says nothing is cut; all others are left alone."""

import socket

import pytest

from models.store import socket_watchdog
from models.store.socket_watchdog import SocketWatchdog


def test_a_connection_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "CHECK_INTERVAL_S", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs, SocketWatchdog().watch(ours):
        assert ours.recv(1) == b""


def test_a_connection_that_nobody_waits_on_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "CHECK_INTERVAL_S", 0.01)
    watchdog = SocketWatchdog()
    quiet, other = socket.socketpair()
    stuck, peer = socket.socketpair()
    with quiet, other, stuck, peer:
        with watchdog.watch(quiet):
            pass
        with watchdog.watch(stuck):
            assert stuck.recv(1) == b""
        quiet.send(b"x")
        assert other.recv(1) == b"x"
