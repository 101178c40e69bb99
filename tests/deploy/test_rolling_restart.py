"""The shipped script restarts gateways one after the other, under load, through nginx."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.proxy import Proxy
from tests.deploy.systemd import Systemd, status
from tests.journeys.clients import BROKEN, PAUSE_S, Link, Poller, Reader, Response, Sender, Socket, Streamer, reading
from tests.journeys.cluster import ROOT, Cluster, seed
from tests.journeys.test_kills import check_messages
from tests.models.people import group
from tests.waiting import LIMIT_S

SCRIPT = ROOT / "deploy" / "rolling-restart"


class ThroughNginx:
    """The installation as clients see it: at the proxy's port."""

    def __init__(self, cluster: Cluster, proxy: Proxy) -> None:
        self.ports = [proxy.port]
        self.token = cluster.token


class PatientSender(Sender):
    """Retries after an answer 5xx or a broken connection, and records both."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.failures: list[str] = []

    async def _until_answered(self, body: dict[str, Any]) -> Response:
        link = self._links.setdefault(0, Link(self._cluster.ports[0], self._cluster.token[self._user]))
        while True:
            try:
                answer = await link.call("POST", "/api/v1/messages", body)
            except BROKEN as error:
                self.failures.append(repr(error))
                link.close()
            else:
                if answer.status < 500:
                    return answer
                self.failures.append(f"{answer.status} {answer.headers.get('retry-after')}")
            await asyncio.sleep(PAUSE_S)


class EventStream(Streamer):
    """Reads server-sent events with a client that joins chunks, which a proxy splits anywhere."""

    async def _once(self) -> None:
        block = dict[str, str]()
        url = f"http://127.0.0.1:{self._cluster.ports[0]}/api/v1/events/stream?cursor={self.cursor}"
        headers = {"Authorization": f"Bearer {self._cluster.token[self._user]}"}
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            try:
                async with client.stream("GET", url, headers=headers) as answer:
                    assert answer.status_code in (200, 503)
                    async for line in answer.aiter_lines():
                        self._line(line.encode(), block)
            except httpx.TransportError:
                self.cuts += 1
        await asyncio.sleep(PAUSE_S)


@pytest.fixture
def systemd(cluster: Cluster, tmp_path: Path) -> Iterator[Systemd]:
    """Start the stub of systemd."""
    stub = Systemd(cluster, tmp_path)
    yield stub
    stub.close()


async def run_script(systemd: Systemd) -> int:
    """Run the script without arguments, for all running gateways; return its exit status."""
    async with asyncio.timeout(3 * LIMIT_S):
        script = await asyncio.create_subprocess_exec(SCRIPT, env={"PATH": systemd.path})
        return await script.wait()


def test_a_rolling_restart_under_load_loses_doubles_and_skips_nothing(cluster: Cluster, proxy: Proxy, systemd: Systemd) -> None:
    chance = random.Random(seed())
    ana, ben, cy = cluster.people("ana", "ben", "cy")
    crew = group(ana, ben, cy)
    outside: Any = ThroughNginx(cluster, proxy)
    over = False

    async def scenario() -> list[PatientSender]:
        nonlocal over
        senders = [PatientSender(outside, user, [{"conversation": crew}], chance) for user in (ana, ben, cy)]
        readers: list[Reader] = [kind(outside, ben, chance) for kind in (Poller, EventStream, Socket)]
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: over))
            assert await run_script(systemd) == 0
            over = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    assert systemd.restarted == cluster.ports
    assert systemd.served_until_the_end == cluster.ports
    # nginx hides a gateway that refuses. A request that arrived while one closed is answered 503, and can be sent again.
    assert {failure for sender in senders for failure in sender.failures} <= {"503 1"}
    assert all(status(port, "/readyz") == 200 for port in cluster.ports)


def test_the_script_fails_when_no_gateway_runs(cluster: Cluster, systemd: Systemd) -> None:
    command = Path(systemd.path.partition(":")[0]) / "systemctl"
    command.write_text("#!/bin/sh\n")
    assert asyncio.run(run_script(systemd)) == 1
    assert systemd.restarted == []
