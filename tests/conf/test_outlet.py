"""The thread that writes log lines, with a pipe that is read late or never."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conf import outlet as outlets
from conf.outlet import Outlet
from tests.waiting import LIMIT_S

ROOT = Path(__file__).parents[2]
PIPE_BYTES = 4096
LINE = "x" * 99 + "\n"


class Pipe:
    """A small pipe, read without waiting."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self.reading, False)

    def fill(self) -> int:
        """Fill the pipe and return the number of bytes in it."""
        os.set_blocking(self.writing, False)
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += os.write(self.writing, b".")
        os.set_blocking(self.writing, True)
        return filled

    def read_all_of(self, outlet: Outlet) -> str:
        """Read until the outlet has written all of its lines; return the text."""
        text, done = "", False
        while not done:
            done = outlet.wait_until_written(0.01)
            with contextlib.suppress(BlockingIOError):
                while True:
                    text += os.read(self.reading, PIPE_BYTES).decode()
        return text


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)
    os.close(pipe.writing)


def test_lines_for_a_late_reader_arrive_complete_and_in_order(pipe: Pipe) -> None:
    outlet = Outlet(pipe.writing)
    lines = [f"line {n}\n" for n in range(5_000)]
    for line in lines:
        outlet.write(line)
    assert outlet.wait_until_written(0.0) is False, "no line has been read yet"
    assert pipe.read_all_of(outlet) == "".join(lines)


def test_lines_beyond_the_limit_are_dropped_and_their_number_is_logged_once(pipe: Pipe) -> None:
    filled = pipe.fill()
    outlet = Outlet(pipe.writing, max_chars=10 * len(LINE))
    with capture_logs() as warnings:
        for _ in range(50):
            outlet.write(LINE)
        kept = pipe.read_all_of(outlet)[filled:]
    arrived = kept.count(LINE)
    assert kept == LINE * arrived, "each line is complete or dropped"
    assert 10 <= arrived < 50
    assert [line["lines"] for line in warnings] == [50 - arrived]


def test_urgent_lines_are_written_when_the_call_returns(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "URGENT_TIMEOUT_S", LIMIT_S)
    Outlet(pipe.writing).write("it broke\n", urgent=True)
    assert os.read(pipe.reading, PIPE_BYTES) == b"it broke\n"


def test_an_urgent_line_does_not_wait_for_a_pipe_that_is_never_read(pipe: Pipe) -> None:
    filled, outlet = pipe.fill(), Outlet(pipe.writing)
    for _ in range(2):
        outlet.write("it broke\n", urgent=True)
    assert pipe.read_all_of(outlet)[filled:] == "it broke\n" * 2


def test_a_failing_descriptor_does_not_end_the_thread() -> None:
    with Path("/dev/full").open("wb") as full:
        outlet = Outlet(full.fileno())
        for _ in range(2):
            outlet.write(LINE)
            assert outlet.wait_until_written(LIMIT_S) is True


PROGRAM = """
import os, signal, sys
import structlog
from conf import Settings, outlet
from conf.logging import configure, detach
outlet.URGENT_TIMEOUT_S = 30
configure(Settings(_env_file=None, log_format="json"), "gateway")
detach()
log = structlog.get_logger()
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("log.info('the last')", 0),
        ("log.info('the last'); sys.exit(3)", 3),
        ("log.info('the last'); raise ValueError", 1),
        ("log.error('the last'); os._exit(4)", 4),
        ("log.error('the last'); os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import logging; logging.error('the last'); os._exit(4)", 4),
    ],
)
def test_the_last_line_of_a_process_is_written_in_every_way_of_ending(end: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + end], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == status
    assert '"event":"the last"' in done.stderr
