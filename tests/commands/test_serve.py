"""`serve` as people run it: a gateway, and a worker that lives and dies with it."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.commands.installation import ROOT, Installation
from tests.python import Interpreter, Python
from tests.waiting import LIMIT_S

RUN = ROOT / "run.py"
STOP_S = 5  # the whole of it is gone within so long after SIGTERM


class Process:
    """Another process, by a descriptor that can't come to mean a later one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def ends(self, within_s: float) -> bool:
        """Waits for its end."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._descriptor, number)


def serving(bellwire: Installation, *command: str, kind: type[Python[str]] = Python) -> "tuple[subprocess.Popen[str], list[str]]":
    """A `serve` that is up, and what it has printed so far."""
    process = bellwire.start(RUN, *command, kind=kind)
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if "open http" in line:
            return process, printed
    raise AssertionError(f"it ended: {printed}")


def workers(serve: int) -> list[Process]:
    """The children of `serve` that are workers."""
    found = []
    for thread in Path(f"/proc/{serve}/task").iterdir():
        for pid in (thread / "children").read_text().split():
            with contextlib.suppress(OSError):  # it has ended since
                if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    found.append(Process(int(pid)))
    return found


def worker(serve: int, other_than: int = 0) -> Process:
    """Its one worker, as soon as there is one."""
    poll = select.poll()
    while True:  # pytest's time limit ends it
        found = [process for process in workers(serve) if process.pid != other_than]
        if found:
            (one,) = found
            return one
        poll.poll(20)


def test_serve_is_the_default_and_says_where_to_go_and_what_is_next(bellwire: Installation) -> None:
    process, printed = serving(bellwire, kind=Interpreter)
    assert process.stdout is not None
    assert "applied 0001_initial\n" in printed
    assert f"http://127.0.0.1:{bellwire.settings['PORT']}" in printed[-1]
    hint = process.stdout.readline()
    assert "no admin" in hint
    found = re.search(r"open (http\S+)/#/setup and enter this code: ([2-9A-Z]{5}-[2-9A-Z]{5})$", hint)
    assert found, hint
    assert "taken" in bellwire.refused("serve", status=4), "and the code that is shown stays valid"
    admin = {"code": found[2], "username": "root", "email": "root@example.org", "password": "a long and quiet one"}
    answer = httpx.post(f"{found[1]}/api/v1/setup", json=admin, trust_env=False, timeout=LIMIT_S)
    assert (answer.status_code, answer.json()["user"]["role"]) == (200, "admin"), answer.text
    with socket.create_connection(("127.0.0.1", int(bellwire.settings["PORT"])), timeout=LIMIT_S):
        pass


def test_with_an_admin_and_a_schema_only_the_address_is_printed(bellwire: Installation) -> None:
    bellwire.succeed("create-admin", "--new", "--username", "ana", "--email", "ana@example.org")
    bellwire.settings["PORT"] = "0"  # any free one
    process, printed = serving(bellwire, "serve")
    assert len(printed) == 1
    (url,) = re.findall(r"http://\S+", printed[0])
    assert httpx.get(f"{url}/healthz", trust_env=False, timeout=LIMIT_S).status_code == 200
    process.terminate()
    assert "setup" not in process.communicate(timeout=LIMIT_S)[0]


def test_a_worker_that_is_killed_is_replaced(bellwire: Installation) -> None:
    process, _ = serving(bellwire, "serve")
    first = worker(process.pid)
    first.send(signal.SIGKILL)
    assert first.ends(LIMIT_S)
    second = worker(process.pid, other_than=first.pid)
    assert second.pid != first.pid
    assert process.poll() is None


def test_a_serve_that_is_killed_leaves_no_worker(bellwire: Installation) -> None:
    process, _ = serving(bellwire, "serve")
    child = worker(process.pid)
    process.kill()
    ended = child.ends(LIMIT_S)
    if not ended:
        child.send(signal.SIGKILL)
    assert ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_gateway_and_its_worker_within_five_seconds(bellwire: Installation, number: signal.Signals) -> None:
    process, _ = serving(bellwire, "serve", kind=Interpreter)
    child = worker(process.pid)
    process.send_signal(number)
    assert process.wait(STOP_S) == 0
    assert child.ends(0)


def test_a_worker_that_hangs_does_not_hold_up_the_end(bellwire: Installation) -> None:
    process, _ = serving(bellwire, "serve")
    child = worker(process.pid)
    child.send(signal.SIGSTOP)
    process.terminate()
    try:
        assert process.wait(STOP_S) == 0
        assert child.ends(0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send(signal.SIGKILL)


@pytest.mark.parametrize("command", ["serve", "gateway"])
def test_a_taken_port_is_said_and_nothing_is_left_running(bellwire: Installation, command: str) -> None:
    bellwire.succeed("migrate")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = bellwire.refused(command, status=4, PORT=str(port))
    assert f"port {port}" in said
    assert "taken" in said
    assert "BELLWIRE_PORT" in said


def test_nothing_is_restored_under_a_serve(bellwire: Installation) -> None:
    process, _ = serving(bellwire, "serve")
    folder = str(bellwire.folder / "backup")
    bellwire.succeed("backup", folder)
    assert "stop it first" in bellwire.refused("restore", folder, "--force")
    process.terminate()
    assert process.wait(LIMIT_S) == 0
    bellwire.succeed("restore", folder, "--force")


def test_a_worker_by_itself_ends_at_sigterm_and_keeps_restores_away(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    folder = str(bellwire.folder / "backup")
    bellwire.succeed("backup", folder)
    process = bellwire.start(RUN, "worker", kind=Interpreter)
    metrics = bellwire.data / "huey.db"
    poll = select.poll()
    while not metrics.exists():  # it has begun to look for work
        assert process.poll() is None
        poll.poll(20)
    assert "stop it first" in bellwire.refused("restore", folder, "--force")
    process.terminate()
    assert process.wait(LIMIT_S) == 0


def test_doctor_finds_a_running_gateway_ready(bellwire: Installation) -> None:
    process, _ = serving(bellwire, "serve")
    process.send_signal(signal.SIGHUP)  # which replaces several gateways, and does not end a single one
    assert "answers" in bellwire.succeed("doctor")
    assert process.poll() is None
