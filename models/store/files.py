"""Files that must be complete and private: checksums, modes for the owner only, and forced writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

import msgspec

READ_BYTES = 1024 * 1024


class FileSum(msgspec.Struct):
    """One file: its length in bytes, and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


def checksum(path: Path) -> FileSum:
    """Compute length and SHA-256 of a file, read in blocks."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
            length += len(block)
    return FileSum(length, digest.hexdigest())


def open_private(path: Path) -> IO[bytes]:
    """Create or truncate a file that only its owner may read, and open it for writing."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def fsync(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk before returning."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
