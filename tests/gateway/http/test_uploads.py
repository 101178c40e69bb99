"""A store of files that does not answer costs uploads only, and its uploads keep their places until their threads are free."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from conf import Settings
from gateway.commit.committer import Committer
from gateway.http import uploads as uploads_module
from gateway.http.uploads import Uploads
from models.blobs.blob import ObjectName
from models.blobs.objects import ObjectStore
from models.files import upload
from models.files.upload import BegunUpload
from models.store.errors import FullError, LimitedError, StoreDownError
from tests.waiting import LIMIT_S, until_async

BEGUN = BegunUpload(ObjectName(1, "ab" * 16), 7, 1000, 0)


class Store:
    """A store whose next write hangs until it is released, or fails."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.error: Exception | None = None
        self.is_removed = self.nothing_left = True

    def local_path(self, key: str) -> None:
        return None

    def writer(self, key: str) -> Store:
        self.is_removed = False
        return self

    def write(self, data: bytes) -> None:
        assert self.released.wait(LIMIT_S)
        if self.error is not None:
            raise self.error

    def finish(self) -> None:
        self.write(b"")

    def abort(self) -> bool:
        self.is_removed = True
        return self.nothing_left


class Transactions:
    """The gateway's own transactions, by the functions that they run."""

    def __init__(self) -> None:
        self.functions: list[Any] = []

    def has_posted_lately(self) -> bool:
        return False

    def call(self, token: None, run: Any) -> asyncio.Future[None]:
        self.functions.append(run.func)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class Scene:
    """The uploads of a gateway without a database."""

    def __init__(self, folder: Path) -> None:
        self.store, self.transactions = Store(), Transactions()
        settings = cast(Settings, cast(Any, type("S", (), {"file_max_mb": 25, "files_per_day_mb": 500, "data_dir": folder})))
        self.uploads = Uploads(settings, cast(ObjectStore, self.store), cast(Committer, self.transactions))


def test_a_store_that_hangs_ends_the_upload_and_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "WRITE_TIMEOUT_S", 0.01)
    monkeypatch.setattr(uploads_module, "MAX_UPLOADS_PER_ACCOUNT", 1)
    monkeypatch.setattr(uploads_module, "WAIT_S", 0.01)

    async def scenario() -> None:
        scene = Scene(tmp_path)
        hanging = await scene.uploads.begin(7, lambda: None)
        hanging.open(BEGUN)
        await hanging.write(bytearray(b"x" * 10_000))
        with pytest.raises(StoreDownError, match="does not answer"):
            await hanging.write(bytearray(b"x"))
        hanging.end()
        await asyncio.sleep(0.01)
        with pytest.raises(LimitedError):
            await scene.uploads.begin(7, lambda: None)
        assert scene.transactions.functions == []

        scene.store.released.set()
        await until_async(lambda: scene.transactions.functions)
        assert (scene.store.is_removed, scene.transactions.functions) == (True, [upload.forget])
        await until_async(lambda: not scene.uploads.places.occupied)
        (await scene.uploads.begin(7, lambda: None)).end()
        scene.uploads.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("complete", "nothing_left"), [(True, True), (False, False)])
def test_what_may_be_there_is_left_to_the_sweeper(tmp_path: Path, complete: bool, nothing_left: bool) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.store.released.set()
        scene.store.nothing_left = nothing_left
        broken = await scene.uploads.begin(7, lambda: None)
        broken.open(BEGUN)
        await broken.write(bytearray(b"x" * 10_000))
        await broken.finish()
        broken.is_complete = complete
        broken.end()
        await scene.uploads.stop()
        assert scene.transactions.functions == [upload.leave]
        assert scene.store.is_removed != complete
        scene.uploads.close()

    asyncio.run(scenario())


def test_an_error_of_the_store_ends_the_upload(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.store.released.set()
        scene.store.error = FullError("there is no space left for files")
        full = await scene.uploads.begin(7, lambda: None)
        full.open(BEGUN)
        await full.write(bytearray(b"x" * 10_000))
        with pytest.raises(FullError):
            await full.finish()
        full.end()
        await scene.uploads.stop()
        assert scene.transactions.functions == [upload.forget]
        scene.uploads.close()

    asyncio.run(scenario())


def test_the_uploads_of_all_accounts_are_bounded_and_share_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "MAX_UPLOADS", 50)

    async def scenario() -> None:
        scene = Scene(tmp_path)
        sizes: list[int] = []
        for account in range(50):
            await scene.uploads.begin(account, lambda: None)
            sizes.append(scene.uploads.batch_bytes())
        with pytest.raises(StoreDownError):
            await scene.uploads.begin(99, lambda: None)
        assert sizes == sorted(sizes, reverse=True)
        assert (sizes[0], 50 * sizes[-1] <= uploads_module.BATCHED_BYTES) == (uploads_module.MAX_BATCH_BYTES, True)
        scene.uploads.close()

    asyncio.run(scenario())
