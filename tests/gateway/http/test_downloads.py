"""Downloads over sockets: clients that receive slowly, or nothing, or leave; and stores that fail in the middle."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from conf import Settings
from gateway.http import downloads
from gateway.http.connections import SEND_TIMEOUT_S, UnsentAnswers
from gateway.http.downloads import Downloads
from models.blobs.folder import Folder
from models.blobs.objects import READ_BYTES
from models.blobs.opening import open_store
from models.store.errors import StoreDownError
from tests.gateway.http.test_connections import Clock, Serving, serving, store
from tests.models.people import credentials, people
from tests.models.stored_files import replace_content, store_file
from tests.s3_server import S3Server
from tests.waiting import LIMIT_S, until_async

__all__ = ["store"]
pytestmark = pytest.mark.only("sqlite")  # the store of rows has no part in it
CONTENT = os.urandom(3 * 1024 * 1024)


class Lent:
    """A gateway in this process with a file."""

    def __init__(self, served: Serving, settings: Settings) -> None:
        self.served, self.settings = served, settings
        (ana,) = people("ana")
        (self.credential,) = credentials(ana)
        self.path = f"/api/v1/files/{store_file(open_store(settings), ana, CONTENT)}"

    async def download(self, headers: str = "") -> socket.socket:
        """Request the file."""
        return await self.served.request(self.credential, self.path, headers)

    async def received(self, client: socket.socket) -> tuple[str, bytes]:
        """The head of an answer and its body, until the connection ends."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        head, _, body = (await self.served.received(client)).partition(b"\r\n\r\n")
        return head.decode(), body

    async def until_waiting(self) -> None:
        """Wait until the gateway waits for clients, and no thread does."""
        await until_still(lambda: sum(stream.sent for stream in self.served.unsent._streams))

    async def until_free(self) -> None:
        """Wait until no download has a place."""
        await until_async(lambda: not self.served.services.downloads.places.occupied)

    async def until_released(self) -> None:
        """Wait until no download has a place or a descriptor."""
        await self.until_free()
        objects = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if _is_open(number)]
        assert not [path for path in objects if str(self.settings.files_path) in path]

    @property
    def object(self) -> Path:
        """The file of the object."""
        return next(path for path in self.settings.files_path.rglob("*") if path.is_file())


async def until_still(measured: Callable[[], int]) -> None:
    """Wait until a number is not 0 and has stayed the same for a while."""
    seen: deque[int] = deque(maxlen=50)

    def is_still() -> bool:
        seen.append(measured())
        return len(seen) == seen.maxlen and seen[0] > 0 and len(set(seen)) == 1

    await until_async(is_still)


def _is_open(number: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{number}")


@asynccontextmanager
async def lending(settings: Settings, unsent: UnsentAnswers | None = None) -> AsyncIterator[Lent]:
    async with serving(settings, unsent or UnsentAnswers()) as served:
        yield Lent(served, settings)


def test_a_client_that_receives_slowly_gets_all(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            client = await lent.download("Connection: close\r\n")
            await lent.until_waiting()
            assert lent.served.unsent.bytes == 0, "nothing of the file is in memory"
            head, body = await lent.received(client)
            assert head.startswith("HTTP/1.1 200 OK")
            assert body == CONTENT
            await lent.until_released()

    asyncio.run(scenario())


def test_a_client_that_receives_nothing_is_disconnected(store: Settings) -> None:
    async def scenario() -> None:
        clock = Clock()
        async with lending(store, UnsentAnswers(now=clock)) as lent:
            client = await lent.download()
            await lent.until_waiting()
            for _ in range(3):
                clock.now += SEND_TIMEOUT_S + 1
                lent.served.unsent.close_slow()
            await lent.until_released()
            _, body = await lent.received(client)
            assert len(body) < len(CONTENT)

    asyncio.run(scenario())


def test_a_client_that_leaves_frees_its_place(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            client = await lent.download()
            await lent.until_waiting()
            client.close()
            await lent.until_released()
            assert not lent.served.unsent._streams

    asyncio.run(scenario())


def test_a_gateway_that_stops_ends_its_downloads(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            client = await lent.download()
            await lent.until_waiting()
            await lent.served.server.close_all_connections()
            await lent.until_released()
            _, body = await lent.received(client)
            assert len(body) < len(CONTENT)

    asyncio.run(scenario())


def test_a_connection_is_used_for_the_requests_behind_a_download(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            loop = asyncio.get_running_loop()
            client = await lent.download("Range: bytes=5-9\r\n")
            head = f"HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {lent.credential}\r\n"
            requests = [
                f"GET {lent.path} {head}\r\n",
                f"HEAD {lent.path} {head}\r\n",
                f"GET {lent.path} {head}Connection: close\r\n\r\n",
            ]
            await loop.sock_sendall(client, "".join(requests).encode())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            received = await lent.served.received(client)
            parts = [part.partition(b"\r\n\r\n") for part in received.split(b"HTTP/1.1 ")[1:]]
            assert [part[0][:3] for part in parts] == [b"206", b"200", b"200", b"200"]
            assert [part[2] for part in parts] == [CONTENT[5:10], CONTENT, b"", CONTENT]

    asyncio.run(scenario())


def test_a_caller_has_several_downloads_at_once_and_the_others_wait(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOADS_PER_CALLER", 2)

    async def scenario() -> None:
        async with lending(store) as lent:
            clients = [await lent.download("Connection: close\r\n") for _ in range(5)]
            await lent.until_waiting()
            assert lent.served.services.downloads.places.occupied == 2
            for body in await asyncio.gather(*(lent.received(client) for client in clients)):
                assert body[1] == CONTENT
            await lent.until_released()

    asyncio.run(scenario())


def test_a_file_that_is_deleted_meanwhile_arrives(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            client = await lent.download("Connection: close\r\n")
            await lent.until_waiting()
            lent.object.unlink()
            assert (await lent.received(client))[1] == CONTENT

    asyncio.run(scenario())


def test_a_file_that_is_too_short_does_not_look_complete(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            os.truncate(lent.object, 1000)
            _, body = await lent.received(await lent.download())
            assert len(body) < len(CONTENT)
            await lent.until_released()

    asyncio.run(scenario())


class ReplacedStore(Folder):
    """A store whose object is replaced, and removed, between the read of its row and its opening."""

    replace: Callable[[], None] | None = None

    def local_path(self, key: str) -> Path:
        """Where the object was."""
        path = super().local_path(key)
        if self.replace is not None:
            replace, self.replace = self.replace, None
            replace()
            path.unlink()
        return path


def test_a_content_that_is_replaced_before_it_is_opened_is_read_again(store: Settings) -> None:
    async def scenario() -> None:
        async with lending(store) as lent:
            replaced = ReplacedStore(store.files_path)
            replaced.replace = partial(replace_content, open_store(store), int(lent.path.rpartition("/")[2]), b"cleaned")
            lent.served.services.downloads.close()
            lent.served.services.downloads = Downloads(replaced, in_bucket=False)
            head, body = await lent.received(await lent.download("Range: bytes=1-\r\nConnection: close\r\n"))
            assert head.startswith("HTTP/1.1 206 ")
            assert "Content-Range: bytes 1-6/7\r\n" in head
            assert body == b"leaned"

    asyncio.run(scenario())


class RemoteStore(Folder):
    """A store whose objects have no path. Its blocks end with an error after `good` of them, or it hangs then."""

    good, hangs = 1_000, False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.blocks = 0
        self.released = threading.Event()

    def local_path(self, key: str) -> Path:
        """None, as of a bucket."""
        return None  # type: ignore[return-value]

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read as the folder does."""
        for block in Folder(self._root).read(key, start, length):
            if self.blocks >= self.good and self.hangs:
                self.released.wait(LIMIT_S)
            if self.blocks >= self.good:
                raise StoreDownError
            self.blocks += 1
            yield block


@asynccontextmanager
async def lending_remote(settings: Settings, good: int = 1_000, *, hangs: bool = False) -> AsyncIterator[tuple[Lent, RemoteStore]]:
    async with lending(settings) as lent:
        remote = RemoteStore(settings.files_path)
        remote.good, remote.hangs = good, hangs
        lent.served.services.downloads.close()
        lent.served.services.downloads = Downloads(remote, in_bucket=True)
        try:
            yield lent, remote
        finally:
            remote.released.set()


def test_of_a_bucket_few_blocks_are_read_ahead(store: Settings) -> None:
    async def scenario() -> None:
        async with lending_remote(store) as (lent, remote):
            client = await lent.download("Range: bytes=1-\r\nConnection: close\r\n")
            await until_async(lambda: lent.served.unsent.bytes)
            await until_still(lambda: remote.blocks)
            assert remote.blocks * READ_BYTES < 2 * 1024 * 1024
            head, body = await lent.received(client)
            assert head.startswith("HTTP/1.1 206 ")
            assert body == CONTENT[1:]
            await lent.until_released()

    asyncio.run(scenario())


def test_a_real_bucket_answers_with_all_and_with_parts(store: Settings, s3: S3Server) -> None:
    async def scenario() -> None:
        async with lending(store.model_copy(update={"files_url": s3.new_bucket()})) as lent:
            for header, body in (("", CONTENT), ("Range: bytes=-2000000\r\n", CONTENT[-2_000_000:])):
                assert (await lent.received(await lent.download(f"{header}Connection: close\r\n")))[1] == body
            await lent.until_released()

    asyncio.run(scenario())


@pytest.mark.parametrize("hangs", [False, True])
def test_a_bucket_that_fails_in_the_middle_ends_the_connection(
    store: Settings, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    if hangs:
        monkeypatch.setattr(downloads, "BLOCK_S", 0.5)

    async def scenario() -> None:
        async with lending_remote(store, 2, hangs=hangs) as (lent, _):
            head, body = await lent.received(await lent.download())
            assert head.startswith("HTTP/1.1 200 OK")
            assert len(body) <= 2 * READ_BYTES
            await lent.until_free()

    asyncio.run(scenario())


@pytest.mark.parametrize("hangs", [False, True])
def test_a_bucket_that_fails_at_once_is_an_error_of_the_store(
    store: Settings, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    if hangs:
        monkeypatch.setattr(downloads, "BLOCK_S", 0.5)

    async def scenario() -> None:
        async with lending_remote(store, 0, hangs=hangs) as (lent, _):
            head, body = await lent.received(await lent.download("Connection: close\r\n"))
            assert head.startswith("HTTP/1.1 503 ")
            assert "ETag" not in head
            assert b"/problems/unavailable" in body

    asyncio.run(scenario())


def test_a_client_of_a_bucket_that_leaves_frees_its_place(store: Settings) -> None:
    async def scenario() -> None:
        async with lending_remote(store) as (lent, _):
            client = await lent.download()
            await until_async(lambda: lent.served.unsent.bytes)
            client.close()
            await lent.until_released()

    asyncio.run(scenario())
