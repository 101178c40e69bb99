"""The marks of metadata in a picture, which may name a place, a camera or a person: Exif, XMP, IPTC.

A picture with one of them is cleaned before others than its owner may have it. A mark that is there by chance costs that work, and
nothing else.
"""

from __future__ import annotations

ANYWHERE = (b"Exif\0\0", b"http://ns.adobe.com/xap", b"x:xmpmeta", b"Photoshop 3.0", b"8BIM")
BY_TYPE = {  # further ones, too short to look for them in all pictures
    "image/png": (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type "),
    "image/webp": (b"EXIF", b"XMP "),
    "image/gif": (b"XMP DataXMP",),
    "image/avif": (b"Exif", b"application/rdf+xml"),
    "image/heic": (b"Exif", b"application/rdf+xml"),
}


class MarkerScan:
    """Looks for marks in the blocks of a picture, also in those that two blocks share."""

    def __init__(self, type_: str) -> None:
        self.found = False
        self._marks = (*ANYWHERE, *BY_TYPE.get(type_, ()))
        self._overlap = max(map(len, self._marks)) - 1
        self._end = b""

    def add(self, block: bytes | bytearray) -> None:
        """Look for marks in the next block."""
        if self.found:
            return
        seam = self._end + block[: self._overlap]
        self.found = any(mark in seam or mark in block for mark in self._marks)
        self._end = bytes((self._end + block[-self._overlap :])[-self._overlap :])
