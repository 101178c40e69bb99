"""Removing metadata from a picture without touching its pixels: only the named parts of its container are copied (of AVIF and
HEIC, the metadata is overwritten).

Parts that are kept by name, instead of removed by name, leave no room for metadata that nobody thought of. The bytes after a
picture's end, where phones put a film and its place, are not copied. Each function raises BrokenError for a container that it
can't read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from jobs.pictures import iso_media

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"bKGD", b"pHYs"),
    *(b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT"),
}
WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
WEBP_EXIF_AND_XMP = 0x08 | 0x04  # bits of the first byte of VP8X
GIF_EXTENSIONS_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
GIF_APPLICATION, GIF_CONTROL = 0xFF, 0xF9
JPEG_START, JPEG_END, JPEG_SCAN = 0xD8, 0xD9, 0xDA
JPEG_NEXT_MARKER = re.compile(
    rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL
)  # after the data of a scan, which has 0 and restarts after 255
JPEG_APPLICATIONS_KEPT = ((0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))


class BrokenError(Exception):
    """The container's parts are not where they should be."""


def without_metadata(type_: str, data: bytes) -> bytes:
    """Return a picture without its metadata. Raises BrokenError, also for a type without such a function."""
    try:
        return b"".join(_PARTS[type_](data))
    except (KeyError, IndexError, struct.error, iso_media.BadBoxError) as error:
        raise BrokenError(type_) from error


def _jpeg(data: bytes) -> Iterator[bytes]:
    """The segments of ITU-T T.81, annex B, without those of applications, but with the profile of colours."""
    if data[:2] != bytes((0xFF, JPEG_START)):
        raise BrokenError("no beginning")
    yield data[:2]
    at = 2
    while data[at + 1] != JPEG_END:
        while data[at + 1] == 0xFF:  # padding
            at += 1
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if data[at] != 0xFF or length < 2 or marker < 0xC0:
            raise BrokenError("no segment")
        end = at + 2 + length
        if _is_kept(marker, data[at + 4 : at + 20]):
            yield data[at:end]
        at = end
        if marker == JPEG_SCAN:
            following = JPEG_NEXT_MARKER.search(data, end)
            if following is None:
                raise BrokenError("no end")
            at = following.end() - 2
            yield data[end:at]
    yield data[at : at + 2]


def _is_kept(marker: int, content: bytes) -> bool:
    if 0xE0 <= marker <= 0xEF:
        return any(marker == kept and content.startswith(name) for kept, name in JPEG_APPLICATIONS_KEPT)
    return marker != 0xFE  # a comment


def _png(data: bytes) -> Iterator[bytes]:
    if not data.startswith(PNG_SIGNATURE):
        raise BrokenError("no beginning")
    yield PNG_SIGNATURE
    at, name = len(PNG_SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise BrokenError("no end")
        if name in PNG_KEPT:
            yield data[at:end]
        at = end


def _webp(data: bytes) -> Iterator[bytes]:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or length + 8 > len(data):
        raise BrokenError("no beginning")
    chunks = b"".join(_webp_chunks(data, length + 8))
    yield b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _webp_chunks(data: bytes, end: int) -> Iterator[bytes]:
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        chunk = data[at : at + 8 + length + length % 2]
        if len(chunk) < 8 + length:
            raise BrokenError("no end")
        if name == b"VP8X":
            chunk = chunk[:8] + bytes((chunk[8] & ~WEBP_EXIF_AND_XMP,)) + chunk[9:]
        if name in WEBP_KEPT:
            yield chunk
        at += 8 + length + length % 2


def _gif(data: bytes) -> Iterator[bytes]:
    if data[:3] != b"GIF":
        raise BrokenError("no beginning")
    at = 13 + _palette_bytes(data[10])
    yield data[:at]
    while data[at] != 0x3B:
        if data[at] == 0x2C:  # a frame
            end = _blocks_end(data, at + 11 + _palette_bytes(data[at + 9]))
            is_kept = True
        elif data[at] == 0x21:
            end = _blocks_end(data, at + 2)
            is_kept = data[at + 1] == GIF_CONTROL or (
                data[at + 1] == GIF_APPLICATION and data[at + 3 : at + 14] in GIF_EXTENSIONS_KEPT
            )
        else:
            raise BrokenError("no block")
        if is_kept:
            yield data[at:end]
        at = end
    yield b"\x3b"


def _iso_media(data: bytes) -> Iterator[bytes]:
    changed = bytearray(data)
    iso_media.overwrite_metadata(changed)
    yield bytes(changed)


def _palette_bytes(flags: int) -> int:
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _blocks_end(data: bytes, at: int) -> int:
    """Where a list of blocks ends that begins here, each with its length before it."""
    while data[at]:
        at += data[at] + 1
    return at + 1


_PARTS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/gif": _gif,
    "image/avif": _iso_media,
    "image/heic": _iso_media,
}
