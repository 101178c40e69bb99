"""Files: uploads and downloads that break off, and are done nevertheless."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from bellwire_client import AsyncClient, BellwireError, Client, ProblemError, UnreachableError
from bellwire_client.steps import Answer, Receive
from bellwire_client.transfers import download_file
from clients.python.tests.conftest import Connect
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway

BODY = os.urandom(200_000)
FILE = {
    **{"id": 7, "name": "a.pdf", "type": "application/pdf", "bytes": len(BODY), "width": None, "height": None},
    **{"thumbnail": False, "state": "ready", "created_at": "2026-11-30T12:00:00.000Z"},
}


class Server(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A server that breaks off the first `breaks` requests after some of their bytes. `etags` are those of its answers."""

    def __init__(self, breaks: int = 0, status: int = 503, etags: tuple[str, ...] = ('"a"',)) -> None:
        self.breaks, self.status, self.etags = breaks, status, list(etags)
        self.requests: list[httpx.Request] = []
        self.received = b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        self.received = b""
        for data in request.stream:
            self._receive(data)
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.received = b""
        async for data in request.stream:
            self._receive(data)
        return self._answer(request)

    def _receive(self, data: bytes) -> None:
        self.received += data
        if self.breaks and len(self.received) > 100_000:
            self.breaks -= 1
            raise httpx.WriteError("broken")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "POST":
            return httpx.Response(201, json=FILE)
        etag = self.etags.pop(0) if len(self.etags) > 1 else self.etags[0]
        since = 0
        if request.headers.get("If-Range") == etag:
            since = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        headers = {"ETag": etag, "Content-Length": str(len(BODY) - since)}
        return httpx.Response(206 if since else 200, headers=headers, stream=Broken(self, BODY[since:]))


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The bytes of an answer, which break off after some of them while the server has breaks left."""

    def __init__(self, server: Server, data: bytes) -> None:
        self._server, self._data = server, data

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), 30_000):
            yield self._data[at : at + 30_000]
            if self._server.breaks:
                self._server.breaks -= 1
                raise httpx.ReadError("broken")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self:
            yield data


def connected(server: Server, patience_s: float = 60) -> Client:
    return Client("http://127.0.0.1", "token", patience_s=patience_s, http=httpx.Client(transport=server))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file to be sent."""
    file = tmp_path / "a & b.pdf"
    file.write_bytes(BODY)
    return file


def test_an_upload_is_sent_again_after_it_broke_off(path: Path) -> None:
    server, progress = Server(breaks=2), list[tuple[int, int]]()
    with connected(server) as bell:
        file = bell.upload(path, onprogress=lambda sent, of: progress.append((sent, of)))

    assert (file.id, file.bytes, server.received) == (7, len(BODY), BODY)
    (request,) = server.requests
    assert dict(request.url.params) == {"name": "a & b.pdf"}
    assert request.headers["Content-Type"] == "application/pdf"
    assert (request.headers["Content-Length"], "Transfer-Encoding" in request.headers) == (str(len(BODY)), False)
    assert progress[-1] == (len(BODY), len(BODY))
    assert sorted({sent for sent, _ in progress}) == [65_536, 131_072, 196_608, len(BODY)]


def test_an_async_upload_of_an_open_file_begins_where_the_file_stands() -> None:
    server = Server(breaks=1)

    async def scenario() -> None:
        async with AsyncClient("http://127.0.0.1", "token", http=httpx.AsyncClient(transport=server)) as bell:
            file = BytesIO(b"head" + BODY)
            file.seek(4)
            await bell.upload(file, name="b.bin")

    asyncio.run(scenario())
    assert server.received == BODY
    assert dict(server.requests[0].url.params) == {"name": "b.bin"}


def test_an_upload_that_always_breaks_off_is_an_error(path: Path) -> None:
    with connected(server := Server(breaks=100), patience_s=0) as bell, pytest.raises(UnreachableError):
        bell.upload(path)
    assert server.breaks == 95


def test_a_file_that_becomes_shorter_is_an_error_and_is_not_sent_again(path: Path) -> None:
    with connected(Server()) as bell, pytest.raises(BellwireError, match="shorter"):
        bell.upload(path, onprogress=lambda sent, of: os.truncate(path, 70_000))


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    server, to, progress = Server(breaks=3), tmp_path / "to.pdf", list[tuple[int, int]]()
    with connected(server) as bell:
        bell.download(7, to, onprogress=lambda *at: progress.append(at))

    assert to.read_bytes() == BODY
    assert [request.headers.get("Range") for request in server.requests] == [None, *(f"bytes={n}0000-" for n in (3, 6, 9))]
    assert progress[-1] == (len(BODY), len(BODY))
    assert list(tmp_path.iterdir()) == [to]


def test_a_download_of_a_file_that_has_become_another_one_begins_again() -> None:
    server, file = Server(breaks=1, etags=('"a"', '"b"')), BytesIO(b"head")
    file.seek(4)

    async def scenario() -> None:
        async with AsyncClient("http://127.0.0.1", "token", http=httpx.AsyncClient(transport=server)) as bell:
            await bell.download(7, file, thumbnail=True)

    asyncio.run(scenario())
    assert file.getvalue() == b"head" + BODY
    assert {request.url.path for request in server.requests} == {"/api/v1/files/7/thumbnail"}


def test_a_download_that_can_not_be_done_leaves_no_file(tmp_path: Path) -> None:
    gone = httpx.MockTransport(lambda _: httpx.Response(404, json={"type": "/problems/not-found"}))
    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=gone)) as bell, pytest.raises(ProblemError):
        bell.download(7, tmp_path / "to.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_cancelled_leaves_no_file_and_no_complaint(tmp_path: Path) -> None:
    answer = Answer(200, {"content-length": "9"}, None, "link")
    steps = download_file("/files/7", tmp_path / "to.pdf", None, 0)
    next(steps)
    assert steps.send(answer) == Receive("link")
    steps.close()
    assert list(tmp_path.iterdir()) == []


def test_a_message_without_files_is_as_before(path: Path) -> None:
    """An older server refuses a field that it does not know."""
    message = {"id": 1, "conversation": 1, "sender": 1, "body": "", "priority": "normal", "created_at": FILE["created_at"]}
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(201, json=FILE if "/files" in request.url.path else {**message, "files": [FILE]})

    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=httpx.MockTransport(answer))) as bell:
        bell.send("hello", to=3)
        file = bell.upload(path)
        sent = bell.send(to=3, files=[file, 8])
    assert b"files" not in bodies[0]
    assert b'"files":[7,8]' in bodies[2]
    assert sent.files == [file]


def test_a_file_goes_to_a_gateway_and_to_its_reader(
    gateway: Gateway, bot: Client, connect: Connect, ben: Person, path: Path, tmp_path: Path
) -> None:
    sent = bot.send(to=ben.id, files=[bot.upload(path)])
    reader, to, opened = connect(ben), tmp_path / "to", BytesIO()
    (file,) = reader.message(sent.id).files
    reader.download(file.id, to)
    link = reader.file_link(file.id)

    async def download() -> None:
        async with AsyncClient(gateway.url, ben.token) as client:
            await client.download(file.id, opened)

    asyncio.run(download())
    assert (file.name, file.bytes, file.state, sent.files) == ("a & b.pdf", len(BODY), "ready", [file])
    assert to.read_bytes() == opened.getvalue() == gateway.http.get(link.url).content == BODY
