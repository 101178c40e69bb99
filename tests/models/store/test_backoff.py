"""Whoever asks for something that is down is refused at once, and one thread at a time tries again."""

import socket
import threading

import pytest

from models.store import backoff, socket_watchdog
from models.store.backoff import Backoff
from models.store.socket_watchdog import SocketWatchdog


class DownError(Exception):
    """It is down."""


def fail(what: Backoff) -> str:
    with pytest.raises(DownError) as caught, what.attempt(DownError):
        raise DownError("tried")
    return str(caught.value)


def test_after_a_failure_nobody_tries_for_a_while_and_all_hear_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 1_000)
    monkeypatch.setattr(backoff, "LONGEST_S", 1_000)
    what, tries = Backoff(), 0
    fail(what)
    for _ in range(3):
        with pytest.raises(DownError, match="tried"), what.attempt(DownError):
            tries += 1
    assert tries == 0


def test_what_works_again_is_asked_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
    monkeypatch.setattr(backoff, "LONGEST_S", 1e-9)
    what, done = Backoff(), 0
    fail(what)
    while not done:
        try:
            with what.attempt(DownError):
                done += 1
        except DownError:
            continue
    with what.attempt(DownError), what.attempt(DownError):
        done += 1
    assert done == 2


def test_one_thread_tries_while_the_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "LONGEST_S", 1e-9)
    what = Backoff()
    fail(what)
    trying, end = threading.Event(), threading.Event()

    def slowly() -> None:
        with what.attempt(DownError):
            trying.set()
            end.wait(30)

    thread = threading.Thread(target=slowly)
    thread.start()
    assert trying.wait(30)
    with pytest.raises(DownError), what.attempt(DownError):
        pytest.fail("a second one tried")
    end.set()
    thread.join()


def test_a_connection_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "LOOK_EVERY_S", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs, SocketWatchdog().watch(ours):
        assert ours.recv(1) == b""


def test_a_connection_that_nobody_waits_on_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watchdog, "CUT_AFTER_S", 0.01)
    monkeypatch.setattr(socket_watchdog, "LOOK_EVERY_S", 0.01)
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
