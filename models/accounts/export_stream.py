"""The zip of an export as a stream: its beginning is in a temporary file, and the user's files follow while it is read.

So neither memory nor the disk ever has all of a user's files, which may be gigabytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

import msgspec

from models.blobs.objects import ObjectStore
from models.store.database import chunks, placeholders, rows

COMPRESSION_LEVEL = 1  # the snapshot waits for it
MAX_FILES = 20_000  # the newest; the library keeps a kilobyte for each until the end
FILES_PER_QUERY = 100


class _Target:
    """The zip's bytes as the library writes them: into a file, and later into memory until they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file: IO[bytes] | None = file
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        if self.file is not None:
            return self.file.write(data)
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: the library calls it."""

    close = flush


class UserExport:
    """A zip that is written into `file`, and after `begin_reading` read once, from its beginning to its end, on any thread."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._target = _Target(file)
        self.zip = zipfile.ZipFile(self._target, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL)
        self._rest: Iterator[None] = iter(())

    def begin_reading(self, objects: ObjectStore, files: Sequence[int], left_out: list[str]) -> None:
        """Append these files while the zip is read, and `left_out.json` with what is not there, too."""
        self._file.seek(0)
        self._target.file = None
        self._rest = self._append(objects, files, left_out)

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end. Raises the errors of the stores."""
        if data := self._file.read(size):
            return data
        waiting = self._target.waiting
        while not waiting and next(self._rest, self) is not self:
            pass
        data = bytes(waiting[:size])
        del waiting[:size]
        return data

    def close(self) -> None:
        """Remove the temporary file. The zip need not be complete."""
        self._target.file = None
        with suppress(Exception):
            self._rest.close()  # type: ignore[attr-defined]
        with suppress(Exception):
            self.zip.close()
        self._file.close()

    def _append(self, objects: ObjectStore, files: Sequence[int], left_out: list[str]) -> Iterator[None]:
        """Write the rest, a block at a time."""
        self.zip.compresslevel = 0  # most files are compressed themselves
        for part in chunks(files, FILES_PER_QUERY):
            sql = "SELECT f.id, f.name, b.key FROM files f JOIN blobs b ON b.id=f.content_id WHERE f.id IN "
            found = {number: (name, key) for number, name, key in rows(f"{sql}({placeholders(len(part))})", part)}
            for number in part:
                if number not in found:  # it was deleted meanwhile
                    left_out.append(f"files/{number}")
                    continue
                name, key = found[number]
                yield from self._append_file(objects, f"files/{number}-{name}", key, left_out)
        self.zip.writestr("left_out.json", msgspec.json.encode(left_out) + b"\n")
        self.zip.close()
        yield

    def _append_file(self, objects: ObjectStore, path: str, key: str, left_out: list[str]) -> Iterator[None]:
        blocks = objects.read(key)
        try:
            block = next(blocks, b"")
        except FileNotFoundError:
            left_out.append(path)
            return
        with self.zip.open(path, "w", force_zip64=True) as entry:
            while block:
                entry.write(block)
                yield
                block = next(blocks, b"")
