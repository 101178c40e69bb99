"""A gateway whose standard error is a pipe that no process reads, as a terminal after Ctrl-S or a stuck log collector."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.running import Gateway
from tests.waiting import LIMIT_S

PIPE_BYTES = 4096  # about twenty lines
SENDS = 60


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[Gateway, int]]:
    """A gateway, and the reading end of the pipe that it logs into."""
    os.mkfifo(tmp_path / "stderr")
    reading = os.open(tmp_path / "stderr", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(reading, True)
    gateway = Gateway(tmp_path, {}).start()
    yield gateway, reading
    gateway.close()
    os.close(reading)


def read_all(reading: int) -> str:
    with os.fdopen(os.dup(reading)) as pipe:
        return pipe.read()


def send(gateway: Gateway) -> list[str]:
    """Send more messages than the pipe has room for lines, the last one after a pause. Return the request ids."""
    ana, ben = gateway.users(2)
    request_ids = [f"send-{n}" for n in range(SENDS)]
    for request_id in request_ids:
        if request_id == request_ids[-1]:
            assert ana.get("/events", cursor=ana.now(), timeout=1).json()["events"] == []
        answer = ana.post("/messages", {"to": ben.id, "body": "hi"}, headers={"X-Request-Id": request_id})
        assert answer.status_code == 201
    return request_ids


def test_it_answers_and_ends_and_all_lines_arrive_when_the_pipe_is_read_again(stuck: tuple[Gateway, int]) -> None:
    gateway, reading = stuck
    request_ids = send(gateway)
    assert gateway.anonymous().get("//readyz").status_code == 200
    gateway.terminate()
    lines = [json.loads(line) for line in read_all(reading).splitlines()]
    assert [line["request_id"] for line in lines if line.get("status") == 201] == request_ids
    assert lines[-1]["event"] == "gateway_stopped"


def test_it_ends_on_sigterm_although_the_pipe_is_never_read(stuck: tuple[Gateway, int]) -> None:
    gateway, _ = stuck
    send(gateway)
    gateway.terminate()
    assert gateway.process is not None
    assert gateway.process.wait(LIMIT_S) == 0
