"""Two gateways behind the shipped nginx configuration: the API as clients see it, and logs without tokens."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import websockets

from models.store.database import rows
from tests.deploy.proxy import Proxy
from tests.journeys.cluster import Cluster
from tests.waiting import LIMIT_S, until, until_async


class Person:
    """A user who connects only to the proxy's port."""

    def __init__(self, cluster: Cluster, proxy: Proxy, user: int) -> None:
        self.id = user
        self.token = cluster.token[user]
        self.url = f"127.0.0.1:{proxy.port}/api/v1/events"
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{proxy.port}/api/v1",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=LIMIT_S,
            trust_env=False,
        )

    async def send(self, to: Person, body: str) -> httpx.Response:
        """Send a direct message."""
        return await self.http.post("/messages", json={"to": to.id, "body": body})

    async def now(self) -> str:
        """Return the current cursor."""
        return str((await self.http.get("/events")).json()["cursor"])

    def with_token(self, **query: str) -> str:
        """Return a query with the token, as a browser's EventSource and WebSocket need it."""
        return urlencode({"token": self.token, **query})


def people(cluster: Cluster, proxy: Proxy) -> tuple[Person, Person]:
    """Create two users for one test."""
    ana, ben = cluster.people(f"ana{len(cluster.token)}", f"ben{len(cluster.token)}")
    return Person(cluster, proxy, ana), Person(cluster, proxy, ben)


def gateways_with_readers(cluster: Cluster, transport: str) -> list[int]:
    """Return the ports of the gateways with a waiting reader."""
    return [port for port in cluster.ports if f'bellwire_polls_open{{transport="{transport}"}} 1.0' in cluster.metrics(port)]


async def reader_s_gateway(cluster: Cluster, transport: str) -> int:
    """Wait until the only reader waits at a gateway; return its port."""
    await until_async(lambda: len(gateways_with_readers(cluster, transport)) == 1)
    return gateways_with_readers(cluster, transport)[0]


async def send_through_other(cluster: Cluster, gateway: int, ana: Person, ben: Person) -> dict[str, Any]:
    """Send a message through the other gateway."""
    (other,) = set(cluster.ports) - {gateway}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{other}/api/v1", headers=ana.http.headers, trust_env=False) as direct:
        answer = await direct.post("/messages", json={"to": ben.id, "body": "from over there"})
    assert answer.status_code == 201
    return dict(answer.json())


def created(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event["type"] == "message.created"]


def test_a_file_passes_on_while_it_arrives_and_comes_back_in_parts(cluster: Cluster, proxy: Proxy) -> None:
    content = secrets.token_bytes(3 * 2**20)
    half = len(content) // 2

    def body() -> Iterator[bytes]:
        yield content[:half]
        until(lambda: rows("SELECT 1 FROM blobs WHERE state='writing'") != [])  # with buffering no gateway would know of it
        yield content[half:]

    ana, _ = people(cluster, proxy)
    with httpx.Client(base_url=ana.http.base_url, headers=ana.http.headers, timeout=LIMIT_S, trust_env=False) as http:
        uploaded = http.post("/files?name=noise.bin", content=body())
        assert uploaded.status_code == 201, uploaded.text
        path = f"/files/{uploaded.json()['id']}"
        assert http.get(path).content == content
        part = http.get(path, headers={"Range": "bytes=100-2000099"})
        assert (part.status_code, part.content) == (206, content[100:2_000_100])
        assert part.headers["Content-Range"] == f"bytes 100-2000099/{len(content)}"
        assert http.get(path, headers={"If-None-Match": part.headers["ETag"]}).status_code == 304
        refused = http.post("/files?name=a", content=bytes(25 * 2**20 + 1))
        assert (refused.status_code, refused.headers["Content-Type"]) == (413, "application/problem+json")
        assert "at most 25 MiB" in refused.json()["detail"]


def test_a_poll_is_answered_by_a_send_through_the_other_gateway(cluster: Cluster, proxy: Proxy) -> None:
    async def scenario() -> None:
        ana, ben = people(cluster, proxy)
        sent = await ana.send(ben, "first")
        assert sent.status_code == 201
        assert sent.headers["X-Request-Id"]
        poll = asyncio.create_task(ben.http.get("/events", params={"cursor": await ben.now(), "timeout": 60}))
        other = await send_through_other(cluster, await reader_s_gateway(cluster, "poll"), ana, ben)
        assert created((await poll).json()["events"]) == [other]

    asyncio.run(scenario())


def test_a_stream_gets_each_event_as_it_comes(cluster: Cluster, proxy: Proxy) -> None:
    async def scenario() -> None:
        ana, ben = people(cluster, proxy)
        url = f"http://{ben.url}/stream?{ben.with_token(cursor=await ben.now())}"
        async with asyncio.timeout(LIMIT_S), httpx.AsyncClient(trust_env=False).stream("GET", url) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            lines = stream.aiter_lines()
            gateway = await reader_s_gateway(cluster, "sse")
            for _ in range(3):  # the stream does not end: with buffering the first would never arrive
                sent = await send_through_other(cluster, gateway, ana, ben)
                while True:
                    line = await anext(lines)
                    if line.startswith("data: ") and created([json.loads(line[6:])]) == [sent]:
                        break

    asyncio.run(scenario())


def test_a_socket_gets_each_event_as_it_comes(cluster: Cluster, proxy: Proxy) -> None:
    async def scenario() -> None:
        ana, ben = people(cluster, proxy)
        url = f"ws://{ben.url}/ws?{ben.with_token(cursor=await ben.now())}"
        async with asyncio.timeout(LIMIT_S), websockets.connect(url) as opened:
            gateway = await reader_s_gateway(cluster, "ws")
            for _ in range(2):
                sent = await send_through_other(cluster, gateway, ana, ben)
                while created([json.loads(await opened.recv())]) != [sent]:
                    pass

    asyncio.run(scenario())


async def quietly(call: Any) -> None:
    """Await a request that may fail."""
    await asyncio.gather(call, return_exceptions=True)


def raw(port: int, line: str) -> None:
    """Send a malformed request line."""
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as connection:
        connection.sendall(f"{line}\r\nHost: test\r\n\r\n".encode())
        connection.recv(1000)


@pytest.mark.parametrize("silenced", [True, False], ids=["as shipped", "with nginx's own error log"])
def test_no_log_contains_a_token_after_any_failure(cluster: Cluster, tmp_path: Path, silenced: bool) -> None:
    for port in cluster.ports:
        if cluster.process(port).poll() is not None:  # killed by the other parameter's test
            cluster.start_gateway(port)
    proxy = Proxy(tmp_path / "nginx", cluster.ports)
    if not silenced:  # proves that the shipped line is necessary, and that this test detects a token
        proxy.rewrite("locations.conf", "error_log /dev/null emerg;", f"error_log {proxy.logs}/requests.log;")
    proxy.start()

    async def scenario() -> str:
        _, ben = people(cluster, proxy)
        query = ben.with_token(cursor=await ben.now())
        async with httpx.AsyncClient(trust_env=False, timeout=LIMIT_S) as http:
            polling = asyncio.create_task(quietly(http.get(f"http://{ben.url}?{query}&timeout=60")))
            streaming = asyncio.create_task(quietly(http.get(f"http://{ben.url}/stream?{query}")))
            async with websockets.connect(f"ws://{ben.url}/ws?{query}") as opened:
                for transport in ("poll", "sse", "ws"):
                    await reader_s_gateway(cluster, transport)
                for port in cluster.ports:
                    cluster.kill_gateway(port)
                await asyncio.gather(polling, streaming, quietly(opened.recv()))
            for path in ("", "/stream", "/ws"):
                assert (await http.get(f"http://{ben.url}{path}?{query}")).status_code == 503
            await http.get(f"http://{ben.url}%3F{query}", headers={"Referer": f"http://{ben.url}?{query}"})
        path = f"/api/v1/events?{query}"
        for line in (f"GET {path} HTTP/9.9", f"GET\t{path}", f"GET {path}\x01 HTTP/1.1", f"GET {path}{'x' * 40_000} HTTP/1.1"):
            await asyncio.to_thread(raw, proxy.port, line)
        await asyncio.to_thread(raw, proxy.redirect_port, f"GET {path} HTTP/1.1")
        await asyncio.to_thread(raw, proxy.tls_port, f"GET {path} HTTP/1.1")
        return ben.token

    token = asyncio.run(scenario())
    proxy.stop()
    requests = [json.loads(line) for line in proxy.requests().splitlines()]
    assert [request["status"] for request in requests if request["path"] == "/api/v1/events/ws"] == [101, 503]
    assert any(request["gateway_status"] == "502, 502" for request in requests)
    assert (token not in proxy.logged()) == silenced
    assert token not in cluster.logged()
