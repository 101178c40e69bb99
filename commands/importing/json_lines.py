"""Reading a file of lines as `models.history.lines` has them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from models.history.lines import MAX_LINE_BYTES, RawLine


def read(args: Namespace) -> Iterator[RawLine]:
    """Yield the lines of the file, each with its place."""
    for number, line in numbered(args.file):
        yield RawLine(f"line {number}", line)


def numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that are not blank, with their numbers. Of one that is too long its beginning, which is refused."""
    with path.open("rb") as file:
        for number, line in enumerate(_bounded(file), 1):
            if line and not line.isspace():
                yield number, line


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines, of which no more is in memory than MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        part = line
        while len(part) > MAX_LINE_BYTES and not part.endswith(b"\n"):
            part = file.readline(MAX_LINE_BYTES + 1)
        yield line
