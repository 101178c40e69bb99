"""Objects as files of a folder: `ab/ab12…`, readable for their owner only, in folders by the first two digits of their keys."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from models.blobs.objects import READ_BYTES
from models.store.errors import FullError, StoreDownError
from models.store.files import fsync, open_private

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

logger = structlog.get_logger("models")


class Folder:
    """The store in a folder, which is created when the first object is written.

    Afterwards it must stay on its disk: the empty mount point of one that was lost must not become another store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._device = _device(root)

    def writer(self, key: str) -> FolderWriter:
        with local_errors():
            self._prepare()
        return FolderWriter(self.local_path(key))

    def _prepare(self) -> None:
        """Create the folder, unless it is there. Raises OSError and StoreDownError."""
        self._check_disk()
        if self._device is None:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync(self._root.parent)
            self._check_disk()

    def _check_disk(self) -> None:
        """Raise StoreDownError if the folder is not the same as before."""
        device = _device(self._root)
        if self._device not in (None, device):
            raise StoreDownError("the folder of files is not there: is its disk mounted?")
        self._device = device

    def put(self, key: str, path: Path) -> None:
        writer = self.writer(key)
        try:
            with path.open("rb") as file:
                while block := file.read(READ_BYTES):
                    writer.write(block)
            writer.finish()
        except BaseException:
            writer.abort()
            raise

    def local_path(self, key: str) -> Path:
        return self._root / key[:2] / key

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self.local_path(key).open("rb") as file:
            file.seek(start)
            while block := file.read(READ_BYTES if length is None else min(READ_BYTES, length)):
                length = None if length is None else length - len(block)
                yield block

    def length(self, key: str) -> int | None:
        with suppress(FileNotFoundError):
            return self.local_path(key).stat().st_size
        return None

    def remove(self, keys: Sequence[str]) -> None:
        self._check_disk()
        if self._device is None:  # else the rows would go, and the objects come back with the disk
            raise StoreDownError("the folder of files is not there: is its disk mounted?")
        for key in keys:
            self.local_path(key).unlink(missing_ok=True)
        for folder in {self.local_path(key).parent for key in keys}:  # before their rows go: a power cut must bring none back
            with suppress(FileNotFoundError):
                fsync(folder)

    def sizes(self) -> Iterator[tuple[str, int]]:
        for path in self._root.rglob("*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                if not path.is_dir():
                    is_object = path == self.local_path(path.name)
                    yield path.name if is_object else path.relative_to(self._root).as_posix(), path.stat().st_size


class FolderWriter:
    """A file that is being written. Its row says that it is not complete, so it has its own name from the beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with local_errors():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = open_private(path)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with local_errors():
            self._file.write(data)

    def finish(self) -> None:
        with local_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            fsync(self._path.parent)
            fsync(self._path.parent.parent)

    def abort(self) -> bool:
        with suppress(OSError):
            self._file.close()
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        return self._path.parent.exists()  # else the disk is gone, with what was written


def make_folder(path: Path) -> None:
    """Create the folder of an object, and that of all objects. Raises OSError."""
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _device(folder: Path) -> int | None:
    """The disk that a folder is on; None if it is not there."""
    try:
        return folder.stat().st_dev
    except FileNotFoundError:
        return None


@contextmanager
def local_errors() -> Iterator[None]:
    """Turn the errors of writing to a disk into FullError and StoreDownError, and log them."""
    try:
        yield
    except OSError as error:
        if structlog.is_configured():  # a command without a log prints the error
            logger.warning("files_not_written", reason=error.strerror)
        if error.errno in FULL:
            raise FullError("there is no space left for files") from error
        raise StoreDownError(f"files can't be written ({error.strerror})") from error
