"""Files that must be whole and private: checksums, owner-only modes, and content that is on the disk before a call returns."""

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
    """Length and SHA-256 of a file, read in parts."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            length += len(part)
    return FileSum(length, digest.hexdigest())


def open_private(path: Path) -> IO[bytes]:
    """Opens a new file, or an emptied one, that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def fsync(path: Path) -> None:
    """Has a file's content, or a folder's names, on the disk before it returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
