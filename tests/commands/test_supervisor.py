import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import supervisor
from commands.supervisor import Supervisor
from tests.waiting import LIMIT_S

# Tells who it is, and what it inherited, by a line into the file named; then waits.
CHILD = """
import os, signal, sys
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pipe = int(os.environ["BELLWIRE_PARENT_FD"])
with open(sys.argv[1], "w") as told:
    told.write(f"{os.getpid()} {pipe}\\n")
if sys.argv[2] == "brief":
    sys.exit(3)
os.read(pipe, 1)
"""


class Told:
    """What children say, a line each, through a named pipe that is never at its end: reading waits for the next."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "told"
        os.mkfifo(self.path)
        self._lines = os.fdopen(os.open(self.path, os.O_RDWR), "r", closefd=True)

    def next(self) -> int:
        """The next child's process id."""
        return int(self._lines.readline().split()[0])

    def close(self) -> None:
        """Forgets what was not read."""
        self._lines.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    made.close()


@pytest.fixture
def supervise(told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Supervisor]]:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.01)
    started: list[Supervisor] = []
    yield started
    for one in started:
        one.join()


def supervised(started: list[Supervisor], told: Told, how: str) -> Supervisor:
    started.append(Supervisor((sys.executable, "-c", CHILD, str(told.path), how)))
    started[-1].start()
    return started[-1]


def gone(pid: int) -> bool:
    """Whether a process ends, or has ended, before the limit."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        return bool(poll.poll(LIMIT_S * 1000))
    finally:
        os.close(process)


def test_the_delay_doubles_to_five_seconds_and_begins_again_after_a_healthy_life() -> None:
    supervisor = Supervisor()
    assert [supervisor._delay_s(1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert supervisor._delay_s(9.9) == 5.0
    assert supervisor._delay_s(10) == 0.2
    supervisor.join()


def test_a_child_that_is_killed_is_started_again(supervise: list[Supervisor], told: Told) -> None:
    supervised(supervise, told, "steady")
    first = told.next()
    os.kill(first, signal.SIGKILL)
    second = told.next()
    assert second != first
    assert gone(first)


def test_a_child_that_ends_by_itself_is_started_again_and_again(supervise: list[Supervisor], told: Told) -> None:
    supervised(supervise, told, "brief")
    assert len({told.next() for _ in range(4)}) == 4


def test_stop_ends_the_child_and_starts_no_other(supervise: list[Supervisor], told: Told) -> None:
    one = supervised(supervise, told, "steady")
    child = told.next()
    one.stop()
    supervise.clear()
    one.join()
    assert gone(child)
    assert not one._thread.is_alive()


def test_a_child_that_ignores_the_signal_is_killed(
    supervise: list[Supervisor], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "KILL_AFTER_S", 0.05)
    one = supervised(supervise, told, "deaf")
    child = told.next()
    supervise.clear()
    one.join()
    assert gone(child)


def test_what_was_never_started_can_be_stopped() -> None:
    one = Supervisor(("/bin/false",))
    one.stop()
    one.join()
    assert one._child is None


def test_a_program_that_is_not_there_does_not_end_the_supervision(supervise: list[Supervisor], tmp_path: Path, told: Told) -> None:
    program = tmp_path / "program"
    one = Supervisor((str(program),))
    supervise.append(one)
    one.start()
    program.with_suffix(".new").write_text(f"#!/bin/sh\necho $$ > {told.path}\n")
    program.with_suffix(".new").chmod(0o755)
    program.with_suffix(".new").rename(program)
    assert told.next() > 0
