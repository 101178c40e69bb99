"""Two gateways of one `serve` on one port: they are killed, stopped and replaced under load, and nothing is refused or lost."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from models.store.database import rows
from models.store.gateway_locks import gateways
from tests.commands.test_serve import Process
from tests.journeys.clients import BROKEN, Link, Poller, Sender, Socket, Streamer, reading
from tests.journeys.cluster import ROOT, Cluster, seed
from tests.journeys.test_kills import check_messages
from tests.models.people import group
from tests.stores import free_port
from tests.waiting import LIMIT_S, until, until_async


class Pair:
    """A `serve` with two gateways, and all that was sent to it."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder)
        self.cluster.others = {"gateways": "2"}
        self.port = free_port()
        self.cluster.ports = [self.port]
        self.ana, self.ben, self.cy = self.cluster.people("ana", "ben", "cy")
        self.crew = group(self.ana, self.ben, self.cy)
        self.senders: list[Sender] = []
        self.serve = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start `serve`, and wait until both gateways are ready."""
        printed = self.cluster.logged().count("open http")
        process = self.cluster.run(ROOT / "run.py", "serve", port=self.port)
        until(lambda: self.cluster.logged().count("open http") > printed or process.poll() is not None)
        assert process.poll() is None, self.cluster.logged()
        return process

    def pids(self, command: str = "gateway") -> set[int]:
        """The process ids of the gateways."""
        found = set()
        for thread in Path(f"/proc/{self.serve.pid}/task").iterdir():
            for pid in (thread / "children").read_text().split():
                with suppress(OSError):  # it has ended
                    if command.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        found.add(int(pid))
        return found

    def get(self, path: str, port: int | None = None) -> str:
        """An answer, on a new connection."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=LIMIT_S) as answer:
            return str(answer.read().decode())

    @contextmanager
    def uploading(self) -> Iterator[socket.socket]:
        """A connection on which half of a file is sent, and has arrived."""
        head = f"POST /api/v1/files?name=a.txt HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {self.cluster.token[self.ana]}\r\n"
        rows_before = rows("SELECT count(*) FROM blobs")
        with socket.create_connection(("127.0.0.1", self.port), LIMIT_S) as upload:
            upload.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + b"1" * 50_000)
            until(lambda: rows("SELECT count(*) FROM blobs") != rows_before)
            yield upload

    def pages(self) -> list[int]:
        """The ports that Prometheus is told of."""
        (listed,) = json.loads(self.get("/metrics/targets"))
        return [int(target.rpartition(":")[2]) for target in listed["targets"]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.cluster.close()


class Newcomers:
    """Calls that each have a connection of their own, one after the other."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.answered = 0
        self.broken = 0  # after they were accepted

    async def call_until(self, over: asyncio.Event) -> None:
        """Call until `over`. Fails when a connection is refused, or an answer is not 200."""
        while not over.is_set():
            link = Link(self._pair.port, self._pair.cluster.token[self._pair.ana])
            await link.request("GET", "/readyz")  # a connection that is refused fails here
            try:
                async with asyncio.timeout(LIMIT_S):
                    answer = await link.answer()
            except BROKEN:
                self.broken += 1
            else:
                assert answer.status == 200, answer
                self.answered += 1
            link.close()
            await asyncio.sleep(0.01)


def under_load(pair: Pair, act: Callable[[], Any]) -> Newcomers:
    """Do something while people send and read; check that nothing is lost or doubled, and that no connection is refused."""
    chance = random.Random(seed())
    newcomers = Newcomers(pair)

    async def scenario() -> None:
        name = len(pair.senders)
        senders = [
            Sender(pair.cluster, user, [{"conversation": pair.crew}], chance, f"{user}-{name}") for user in (pair.ana, pair.ben)
        ]
        pair.senders += senders
        over = asyncio.Event()

        def sent() -> int:
            return sum(len(sender.sent) for sender in senders)

        readers = [kind(pair.cluster, pair.cy, chance) for kind in (Poller, Streamer, Socket)]
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(over.is_set))
            tasks.create_task(newcomers.call_until(over))
            await until_async(lambda: sent() >= 5)
            await asyncio.to_thread(act)
            more = sent() + 5
            await until_async(lambda: sent() >= more)
            over.set()

    asyncio.run(scenario())
    check_messages(pair.senders)
    assert newcomers.answered > 0
    return newcomers


def kill(pid: int) -> None:
    """Kill a process and wait for its end."""
    process = Process(pid)
    process.send(signal.SIGKILL)
    assert process.ends(LIMIT_S)


def test_each_gateway_has_a_page_of_its_own_and_the_shared_port_has_both(pair: Pair) -> None:
    first, second = pair.pages()
    for port in (first, second):
        for _ in range(3 if port == second else 2):
            pair.get("/api/v1/instance", port)
    metric = 'bellwire_http_requests_total{%smethod="GET",route="/api/v1/instance",status="200"}'
    assert f"{metric % ''} 2.0" in pair.get("/metrics", first)
    shared = pair.get("/metrics").splitlines()
    assert [line for line in shared if "/api/v1/instance" in line and "requests_total" in line and "200" in line] == [
        f"{metric % label} {count}" for label, count in (('gateway="1",', "2.0"), ('gateway="2",', "3.0"))
    ]
    assert shared.count("# TYPE bellwire_http_requests_total counter") == 1
    requests = '{"event":"request","component":"gateway","gateway":%d,'
    until(lambda: all(requests % number in pair.cluster.logged() for number in (1, 2)))


def test_typing_at_one_is_seen_at_the_other(pair: Pair) -> None:
    first, second = pair.pages()

    async def scenario() -> None:
        typing, reading = Link(first, pair.cluster.token[pair.ana]), Link(second, pair.cluster.token[pair.ben])
        path = "/api/v1/events?timeout=1&types=typing&cursor="
        cursor = (await reading.call("GET", "/api/v1/state")).body["cursor"]
        while True:  # pytest's time limit ends it: what nobody must lose may be lost
            await reading.request("GET", f"{path}{cursor}")
            assert (await typing.call("POST", f"/api/v1/conversations/{pair.crew}/typing", {"typing": True})).status == 204
            answer = await reading.answer()
            if answer.body["events"]:
                break
        assert answer.body["events"][0]["data"]["user"] == pair.ana
        for link in (typing, reading):
            link.close()

    asyncio.run(scenario())


def test_both_are_listed_for_doctor(pair: Pair) -> None:
    listed = gateways(pair.cluster.settings.data_dir)
    assert {(one.port, one.is_alive) for one in listed} == {(port, True) for port in pair.pages()}


def test_a_gateway_that_is_killed_is_started_again_and_the_other_one_serves_meanwhile(pair: Pair) -> None:
    before = pair.pids()
    killed = min(before)

    def act() -> None:
        kill(killed)
        until(lambda: len(pair.pids()) == 2)
        until(lambda: pair.cluster.logged().count('"gateway_ready"') == 3)

    under_load(pair, act)
    assert len(pair.pids() & before) == 1


def test_a_gateway_that_hangs_keeps_no_newcomer_waiting(pair: Pair) -> None:
    hanging = Process(min(pair.pids()))
    hanging.send(signal.SIGSTOP)
    try:
        for _ in range(12):  # half of them belong to the one that hangs
            assert pair.get("/healthz") == '{"status":"ok"}'
    finally:
        hanging.send(signal.SIGCONT)


def test_a_reload_replaces_both_and_the_worker_refuses_nothing_and_lets_files_arrive(pair: Pair) -> None:
    before = pair.pids() | pair.pids("worker")
    ports = pair.pages()

    def act() -> None:
        with pair.uploading() as upload:
            pair.serve.send_signal(signal.SIGHUP)
            until(lambda: "gateway_waits_for_files" in pair.cluster.logged())
            upload.sendall(b"2" * 50_000)
            assert upload.recv(64).startswith(b"HTTP/1.1 201")
        until(lambda: "reload_done" in pair.cluster.logged())

    newcomers = under_load(pair, act)
    assert newcomers.broken == 0
    assert not pair.pids() & before
    until(lambda: len(pair.pids("worker") - before) == 1)
    assert pair.pages() == ports


def test_a_signal_ends_all_of_them(pair: Pair) -> None:
    children = [Process(pid) for pid in pair.pids() | pair.pids("worker")]
    pair.serve.terminate()
    assert pair.serve.wait(LIMIT_S) == 0
    assert all(child.ends(0) for child in children)
    assert not any(pair.cluster.settings.data_dir.glob("*.sock"))
    assert gateways(pair.cluster.settings.data_dir) == []


def test_a_serve_that_is_killed_leaves_no_gateway_and_no_port_in_use(pair: Pair) -> None:
    pair.serve = pair.start()
    children = [Process(pid) for pid in pair.pids() | pair.pids("worker")]
    pair.serve.kill()
    assert all(child.ends(LIMIT_S) for child in children)
    with socket.create_server(("127.0.0.1", pair.port)):
        pass
    assert {one.is_alive for one in gateways(pair.cluster.settings.data_dir)} == {False}
