"""Removing metadata from a picture in an ISO media file (AVIF, HEIC). Its parts must stay where they are, so zeros overwrite it.

ISO/IEC 14496-12: `iinf` lists the items of the file with their types, and `iloc` says where their bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

METADATA_ITEMS = (b"Exif", b"mime", b"uri ")
METADATA_BOXES = (b"uuid", b"udta")
PARENTS = (b"meta", b"moov", b"trak")
NO_ITEM, NO_BOX = b"none", b"free"
MAX_DEPTH = 4


class BadBoxError(Exception):
    """A box is not where it should be, or of a kind that is not known here."""


class Box(NamedTuple):
    """A box, and where its content begins and ends."""

    name: bytes
    start: int
    content: int
    end: int


class Cursor:
    """Reads numbers from a place of the file on."""

    def __init__(self, data: bytearray, at: int, end: int) -> None:
        self._data = data
        self.at = at
        self._end = end

    def number(self, size: int) -> int:
        """The next number, of so many bytes, perhaps none. Raises BadBoxError at the end of the box."""
        if self.at + size > self._end:
            raise BadBoxError("short")
        value = int.from_bytes(self._data[self.at : self.at + size])
        self.at += size
        return value


def overwrite_metadata(data: bytearray) -> None:
    """Overwrite the metadata of a picture. Raises BadBoxError."""
    for box in _boxes(data, 0, len(data), 0):
        if box.name in METADATA_BOXES:
            data[box.start + 4 : box.start + 8] = NO_BOX
            data[box.content : box.end] = bytes(box.end - box.content)
        elif box.name == b"meta":
            _overwrite_items(data, {inner.name: inner for inner in _boxes(data, box.content + 4, box.end, MAX_DEPTH)})


def _boxes(data: bytearray, at: int, end: int, depth: int) -> Iterator[Box]:
    """The boxes of a part of the file; with a small `depth` also those within them."""
    while at < end:
        cursor = Cursor(data, at, end)
        length, name = cursor.number(4), cursor.number(4).to_bytes(4)
        length = cursor.number(8) if length == 1 else length or end - at
        if length < cursor.at - at or at + length > end:
            raise BadBoxError("length")
        yield Box(name, at, cursor.at, at + length)
        if name in PARENTS and depth < MAX_DEPTH:
            yield from _boxes(data, cursor.at + (4 if name == b"meta" else 0), at + length, depth + 1)
        at += length


def _overwrite_items(data: bytearray, parts: dict[bytes, Box]) -> None:
    """Overwrite the items of metadata, and what says that they are there."""
    if b"iinf" not in parts:
        return
    removed = set(_remove_entries(data, parts[b"iinf"]))
    if removed and b"iloc" not in parts:
        raise BadBoxError("no places")
    for item, start, end in _extents(data, parts) if removed else ():
        if item in removed:
            data[start:end] = bytes(end - start)


def _remove_entries(data: bytearray, box: Box) -> Iterator[int]:
    """Make the entries of metadata those of an unknown kind; yield the ids of their items."""
    cursor = Cursor(data, box.content, box.end)
    version = cursor.number(4) >> 24
    cursor.number(2 if version == 0 else 4)
    for entry in _boxes(data, cursor.at, box.end, MAX_DEPTH):
        fields = Cursor(data, entry.content, entry.end)
        version = fields.number(4) >> 24
        if version not in (2, 3):
            raise BadBoxError("entry")
        item = fields.number(2 if version == 2 else 4)
        fields.number(2)
        if fields.number(4).to_bytes(4) in METADATA_ITEMS:
            data[fields.at - 4 : fields.at] = NO_ITEM
            data[fields.at : entry.end] = bytes(entry.end - fields.at)
            yield item


def _extents(data: bytearray, parts: dict[bytes, Box]) -> Iterator[tuple[int, int, int]]:
    """Each item's id, and where a part of its bytes begins and ends."""
    box = parts[b"iloc"]
    cursor = Cursor(data, box.content, box.end)
    version = cursor.number(4) >> 24
    sizes, base_sizes = cursor.number(1), cursor.number(1)
    for _ in range(cursor.number(2 if version < 2 else 4)):
        item = cursor.number(2 if version < 2 else 4)
        method = cursor.number(2) & 15 if version else 0
        cursor.number(2)
        base = cursor.number(base_sizes >> 4)
        for _ in range(cursor.number(2)):
            cursor.number(base_sizes & 15 if version else 0)
            start, length = base + cursor.number(sizes >> 4), cursor.number(sizes & 15)
            if method == 1 and b"idat" in parts:
                start += parts[b"idat"].content
            if method > 1 or not length or start + length > len(data):
                raise BadBoxError("place")
            yield item, start, start + length
