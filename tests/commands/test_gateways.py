"""The supervisor of several gateways, over children that only report that they are ready."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands import gateways, listening, reloading, supervisor
from commands.errors import PortInUseError
from commands.gateways import Gateway, GatewayProcess, Gateways, Listening
from commands.reloading import Reloading
from conf import Settings, SettingsError
from tests.stores import free_port
from tests.waiting import LIMIT_S, until

# Appends its number and process id to a file, reports that it is ready unless it is told to fail, and ends with its control socket.
CHILD = """
import json, os, pathlib, signal, sys
place = json.loads(os.environ["BELLWIRE_SUPERVISED"])
folder = pathlib.Path(sys.argv[1])
with (folder / "started").open("a") as started:
    started.write(f"{place['number']} {os.getpid()}\\n")
if (folder / "fails").exists():
    sys.exit(2)
if is_deaf := (folder / "deaf").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(place["control"], b"r")
while is_deaf:
    signal.pause()
os.read(place["control"], 1)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gateways, "GATEWAY", (sys.executable, "-S", "-c", CHILD, str(tmp_path)))
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.01)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Any]]:
    """Starts and, at the end, stops."""
    started: list[Any] = []

    def start(one: Any) -> Any:
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.join()


def pids(folder: Path, number: int = 1) -> list[int]:
    """The processes that a gateway has had."""
    if not (folder / "started").exists():
        return []
    lines = [line.split() for line in (folder / "started").read_text().splitlines()]
    return [int(pid) for who, pid in lines if int(who) == number]


def alone(ready: threading.Event | None = None) -> Gateway:
    here = [Listening([], [], 1)]
    return Gateway(lambda: GatewayProcess(1, here, "key"), "gateway 1", ready.set if ready else lambda: None)


def serving(start: Callable[..., Any]) -> tuple[Gateway, threading.Event]:
    """A gateway that has become ready; the event is set when it does, and when its successors do."""
    ready = threading.Event()
    gateway = start(alone(ready))
    assert ready.wait(LIMIT_S)
    return gateway, ready


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_gateway_that_becomes_ready_is_counted_once(start: Callable[..., Any], folder: Path) -> None:
    counts: list[int] = []
    start(Gateways([Listening([], [], 1), Listening([], [], 2)], counts.append))
    until(lambda: counts == [1, 2])
    os.kill(pids(folder)[0], signal.SIGKILL)
    until(lambda: len(pids(folder)) == 2)
    assert counts == [1, 2]


def test_a_gateway_that_ends_at_once_is_started_again_and_again_and_can_be_stopped(start: Callable[..., Any], folder: Path) -> None:
    (folder / "fails").touch()
    ready = threading.Event()
    start(alone(ready))
    until(lambda: len(pids(folder)) >= 3)
    assert not ready.is_set()
    (folder / "fails").unlink()
    assert ready.wait(LIMIT_S)


def test_a_replaced_gateway_ends_and_its_successor_is_supervised(start: Callable[..., Any], folder: Path) -> None:
    gateway, _ = serving(start)
    assert gateway.replace()
    first, second = pids(folder)
    assert (runs(first), runs(second)) == (False, True)
    os.kill(second, signal.SIGKILL)
    until(lambda: len(pids(folder)) == 3)


def test_a_successor_that_fails_leaves_the_gateway_as_it_is(start: Callable[..., Any], folder: Path) -> None:
    gateway, _ = serving(start)
    (folder / "fails").touch()
    assert not gateway.replace()
    first, second = pids(folder)
    assert (runs(first), runs(second)) == (True, False)


def test_a_gateway_that_hangs_is_killed_when_it_is_replaced_and_when_all_stop(
    start: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "RETIRED_WITHIN_S", 0.05)
    monkeypatch.setattr(gateways, "KILL_AFTER_S", 0.05)
    (folder / "deaf").touch()
    gateway, _ = serving(start)
    assert gateway.replace()
    first, second = pids(folder)
    assert (runs(first), runs(second)) == (False, True)
    gateway.stop()
    until(lambda: not runs(second))


def test_a_stop_ends_a_gateway_that_has_been_replaced_and_is_not_done(
    start: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "KILL_AFTER_S", 0.05)
    monkeypatch.setattr(gateways, "RETIRED_WITHIN_S", 10 * LIMIT_S)
    (folder / "deaf").touch()
    gateway, ready = serving(start)
    ready.clear()
    replacing = threading.Thread(target=gateway.replace)
    replacing.start()
    assert ready.wait(LIMIT_S)
    gateway.stop()
    replacing.join(LIMIT_S)
    assert not any(map(runs, pids(folder)))


def test_nothing_is_replaced_after_the_stop(start: Callable[..., Any], folder: Path) -> None:
    gateway = start(alone())
    until(lambda: pids(folder))
    gateway.stop()
    assert not gateway.replace()
    assert len(pids(folder)) == 1


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


def test_several_sockets_share_a_port_that_nobody_else_listens_on(folder: Path) -> None:
    chosen = settings(port=free_port())
    opened = listening.open_sockets(chosen, 2, any_port=True)
    try:
        assert {one.shared[0].getsockname()[1] for one in opened} == {chosen.port}
        assert len({chosen.port, *(one.port for one in opened)}) == 3
        with pytest.raises(PortInUseError, match=f"port {chosen.port}: the port is taken"):
            listening.open_sockets(chosen, 2, any_port=True)
    finally:
        for one in opened:
            for socket in (*one.shared, *one.own):
                socket.close()


def test_a_reload_with_other_settings_replaces_and_one_that_cannot_work_does_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replaced = SimpleNamespace(gateways=0, workers=0)
    chosen: list[Settings | SettingsError] = []

    def load() -> Settings:
        value = chosen.pop()
        if isinstance(value, SettingsError):
            raise value
        return value

    def replace() -> bool:
        replaced.gateways += 1
        return True

    def restart() -> None:
        replaced.workers += 1

    monkeypatch.setattr(reloading, "load", load)
    thread = Reloading(settings(), replace, restart)
    try:
        for value, expected in (
            (SettingsError("BELLWIRE_WORKERS = '0': allowed is 1 to 64"), "BELLWIRE_WORKERS"),
            (settings(port=8081), "BELLWIRE_PORT changed"),
            (settings(gateways=3, host="::1"), "BELLWIRE_HOST, BELLWIRE_GATEWAYS changed"),
        ):
            chosen.append(value)
            thread.request()
            until(lambda expected=expected: expected in caplog.text)
        assert (replaced.gateways, replaced.workers) == (0, 0)
        chosen.append(settings(workers=3))
        thread.request()
        until(lambda: replaced.workers == 1)
        assert replaced.gateways == 1
    finally:
        thread.stop()
        thread.join()
