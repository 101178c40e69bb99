"""A gateway whose standard error is a pipe that nobody reads: a terminal after Ctrl-S, a collector that hangs."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.running import LIMIT_S, Gateway

PIPE_BYTES = 4096  # a score of lines
SENDS = 60


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[Gateway, int]]:
    """The gateway, and the pipe's end that its lines come out of."""
    os.mkfifo(tmp_path / "stderr")
    reading = os.open(tmp_path / "stderr", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(reading, True)
    gateway = Gateway(tmp_path, {}).start()
    yield gateway, reading
    gateway.close()
    os.close(reading)


def everything(reading: int) -> str:
    with os.fdopen(os.dup(reading)) as pipe:
        return pipe.read()


def send(gateway: Gateway) -> list[str]:
    """Many more than the pipe takes lines, and, when they must have been written, one more; returns the request ids."""
    ana, ben = gateway.users(2)
    named = [f"send-{n}" for n in range(SENDS)]
    for name in named:
        if name == named[-1]:
            assert ana.get("/events", cursor=ana.now(), timeout=1).json()["events"] == []
        answer = ana.post("/messages", {"to": ben.id, "body": "hi"}, headers={"X-Request-Id": name})
        assert answer.status_code == 201
    return named


def test_it_answers_and_ends_and_its_lines_come_when_somebody_reads_again(stuck: tuple[Gateway, int]) -> None:
    gateway, reading = stuck
    named = send(gateway)
    assert gateway.anonymous().get("//readyz").status_code == 200
    gateway.terminate()
    told = [json.loads(line) for line in everything(reading).splitlines()]
    assert [line["request_id"] for line in told if line.get("status") == 201] == named
    assert told[-1]["event"] == "gateway_stopped"


def test_it_ends_on_term_though_nobody_ever_reads(stuck: tuple[Gateway, int]) -> None:
    gateway, _ = stuck
    send(gateway)
    gateway.terminate()
    assert gateway.process is not None
    assert gateway.process.wait(LIMIT_S) == 0
