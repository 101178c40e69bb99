"""HTTP clients of other projects work with a gateway on each wire: httpx, requests, http.client, curl and websockets."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.waiting import LIMIT_S

pytestmark = [pytest.mark.only("sqlite"), pytest.mark.needs_binary("curl")]
CONTENT = secrets.token_bytes(3 * 2**20 + 1)
HALF = len(CONTENT) // 2


@pytest.fixture(scope="module", params=["httptools", "tornado"])
def ana(request: pytest.FixtureRequest, make_gateway: Callable[..., Gateway]) -> Client:
    """A user of a gateway on each wire in turn."""
    return make_gateway(WIRE=request.param).user()


@pytest.fixture(scope="module")
def file(ana: Client) -> str:
    """The path of a file, which was uploaded in chunks."""

    def parts() -> Iterator[bytes]:
        yield CONTENT[:HALF]
        yield CONTENT[HALF:]

    uploaded = ana.post("/files?name=noise.bin", content=parts())
    assert uploaded.status_code == 201, uploaded.text
    return f"/api/v1/files/{uploaded.json()['id']}"


@pytest.fixture
def session(ana: Client) -> Iterator[requests.Session]:
    """A session of the library requests, which keeps its connections."""
    with requests.Session() as opened:
        opened.trust_env = False
        opened.headers["Authorization"] = f"Bearer {ana.token}"
        yield opened


def curl(ana: Client, path: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = ["curl", "--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", str(LIMIT_S)]
    header = f"Authorization: Bearer {ana.token}"
    return subprocess.run([*command, "-H", header, *options, ana.gateway.url + path], capture_output=True, check=True)


def test_httpx_reads_and_writes_and_receives_events(ana: Client) -> None:
    cursor = ana.now()
    with stream(ana, cursor=cursor) as events, socket(ana, query=f"?cursor={cursor}") as opened:
        sent = ana.send("hello", to=ana.gateway.user())
        assert [event["data"]["id"] for event in events.events(1)] == [sent["id"]]
        assert [event["data"]["id"] for event in opened.events(1)] == [sent["id"]]
    assert ana.call("HEAD", "/me").content == b""


def test_httpx_downloads_all_and_a_part(ana: Client, file: str) -> None:
    assert ana.get(f"/{file}").content == CONTENT
    part = ana.get(f"/{file}", headers={"Range": f"bytes=100-{HALF}"})
    assert (part.status_code, part.content) == (206, CONTENT[100 : HALF + 1])


def test_requests_keeps_a_connection(ana: Client, session: requests.Session, file: str) -> None:
    url, as_json = ana.gateway.url, {"Content-Type": "application/json"}
    for _ in range(3):
        assert session.get(f"{url}/api/v1/me").json()["id"] == ana.id
        assert session.post(f"{url}/api/v1/messages", data=iter([b"{", b"}"]), headers=as_json).status_code == 422
        assert session.head(f"{url}{file}").headers["Content-Length"] == str(len(CONTENT))
        assert session.get(f"{url}{file}").content == CONTENT
        assert session.delete(f"{url}/api/v1/messages").status_code == 405
    (pool,) = session.get_adapter(url).poolmanager.pools._container.values()  # type: ignore[attr-defined]
    assert pool.num_connections == 1


def test_http_client_sends_several_requests_on_a_connection(ana: Client) -> None:
    headers = {"Authorization": f"Bearer {ana.token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", int(ana.gateway.settings["PORT"]), timeout=LIMIT_S)
    connection.connect()
    opened = connection.sock
    for body in (b"{}", iter([b"{", b"}"])):
        connection.request("POST", "/api/v1/messages", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.will_close) == (422, False)
        assert json.loads(answer.read())["type"] == "/problems/invalid"
        assert connection.sock is opened
    connection.close()


def test_curl_waits_until_it_may_continue(ana: Client, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(CONTENT)
    done = curl(ana, "/api/v1/files?name=a.bin", "-H", "Expect: 100-continue", "--data-binary", f"@{content}")
    assert json.loads(done.stdout)["bytes"] == len(CONTENT)
    assert b"< HTTP/1.1 100 " in done.stderr
    done = curl(ana, "/api/v1/files?name=a.bin", "-H", "Transfer-Encoding: chunked", "-T", str(content), "-X", "POST")
    assert json.loads(done.stdout)["bytes"] == len(CONTENT)


def test_curl_gets_the_answer_to_an_upload_that_is_refused_early(ana: Client, tmp_path: Path) -> None:
    content = tmp_path / "content"
    with content.open("wb") as large:
        os.truncate(large.fileno(), 26 * 2**20)
    for options in ([], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]):
        done = curl(ana, "/api/v1/files?name=a.bin", "--data-binary", f"@{content}", *options, "--write-out", "%{http_code}")
        assert done.stdout.endswith(b"413"), done


def test_curl_speaks_http_1_0(ana: Client, file: str) -> None:
    for options in ([], ["-H", "Connection: keep-alive"], ["--head"], ["--range", "0-99"]):
        done = curl(ana, file, "-0", *options, "--write-out", "%{http_code}")
        assert done.stdout.endswith(b"206" if "--range" in options else b"200")
        assert ("--head" in options) or CONTENT[:100] in done.stdout
    assert json.loads(curl(ana, "/api/v1/me", "-0").stdout)["id"] == ana.id


def test_curl_uses_a_connection_again(ana: Client, file: str) -> None:
    url = ana.gateway.url
    done = curl(ana, "/healthz", f"{url}{file}", f"{url}/api/v1/me", "--output", os.devnull)
    assert done.stderr.count(b"Connected to ") == 1
    assert done.stderr.count(b"< HTTP/1.1 200") == 3
