"""The operations of a store of objects, which is a folder or a bucket.

Its methods wait for a disk or a network: they are called on threads, never on a gateway's loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

READ_BYTES = 128 * 1024


class ObjectWriter(Protocol):
    """An object that is being written. One of `finish` and `abort` ends it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes. Raises FullError or StoreDownError."""

    def finish(self) -> None:
        """Return when the object is durable. Raises the same."""

    def abort(self) -> bool:
        """Remove what was written; raises nothing. Return whether nothing is left of it: else its row must be discarded, not
        removed, so that the sweeper removes what a lost answer may have left in a bucket."""


class ObjectStore(Protocol):
    """A folder or a bucket. A key is 32 hexadecimal digits."""

    def writer(self, key: str) -> ObjectWriter:
        """Begin to write an object. Raises FullError or StoreDownError."""

    def put(self, key: str, path: Path) -> None:
        """Store a copy of a file; return when it is durable. Raises the same."""

    def local_path(self, key: str) -> Path | None:
        """Where an object is on this machine's disk; None for a bucket."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield an object's bytes, about READ_BYTES at a time. Raises FileNotFoundError, OSError or StoreDownError."""

    def length(self, key: str) -> int | None:
        """An object's length in bytes; None if it is not there. Raises OSError or StoreDownError."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, also parts of those that were never finished; those that are not there don't matter. Return when that is
        durable. Raises OSError, and StoreDownError when no object can be removed for now."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield key and length of each object that is there, in no order. A file that is no object has its path as its key."""
