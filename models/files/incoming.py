"""A file that is being received: its bytes are written, hashed and examined.

Its methods wait for the disk or a network: they are called on threads, never on a gateway's loop.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from models.blobs.objects import ObjectStore, ObjectWriter
from models.files import types
from models.files.markers import MarkerScan
from models.store.errors import FullError

MIN_FREE_BYTES = 128 * 1024 * 1024  # on the disk of the folder: sends need it more than files
CHECKED_BYTES = 1024 * 1024  # between two checks of an upload


class IncomingFile:
    """One file, from its first block on. `folder` is on the disk where the bytes are, at least until they are complete."""

    def __init__(self, store: ObjectStore, key: str, folder: Path) -> None:
        self.bytes = 0
        self.type = types.UNKNOWN
        self.sha256 = ""
        self._store = store
        self._key = key
        self._path = store.local_path(key) or folder
        self._checked = 0
        self._writer: ObjectWriter | None = None
        self._digest = hashlib.sha256()
        self._scan: MarkerScan | None = None

    @property
    def private(self) -> bool:
        """Whether it may name a place or a camera."""
        return self._scan is not None and self._scan.found

    def write(self, block: bytes | bytearray) -> None:
        """Write the next block; the first has more than HEAD_BYTES, unless it is the only one. Raises FullError, OSError or
        StoreDownError."""
        if self.bytes >= self._checked:
            _check_free(self._path)
            self._checked = self.bytes + CHECKED_BYTES
        if self._writer is None:
            self.type = types.type_of(bytes(block[: types.HEAD_BYTES]), is_whole=len(block) <= types.HEAD_BYTES)
            self._scan = MarkerScan(self.type) if self.type in types.PICTURES else None
            self._writer = self._store.writer(self._key)
        self._writer.write(block)
        self._digest.update(block)
        self.bytes += len(block)
        if self._scan is not None:
            self._scan.add(block)

    def finish(self) -> None:
        """Return when all is durable. Raises the same."""
        assert self._writer is not None
        self._writer.finish()
        self.sha256 = self._digest.hexdigest()

    def abort(self) -> bool:
        """Remove what was written, also when it is complete. Return whether nothing is left of it, as the writer does."""
        return self._writer is None or self._writer.abort()


def _check_free(path: Path) -> None:
    """Raise FullError if the disk has little room left. The folder of an object is there when the first one is written."""
    folder = next(folder for folder in (path, *path.parents) if folder.exists())
    if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        raise FullError("there is no space left for files")
