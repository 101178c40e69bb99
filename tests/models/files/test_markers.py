"""Metadata of pictures is found, wherever the blocks of an upload end."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from models.files.markers import MarkerScan

EXIF = Image.Exif()
EXIF[0x010F] = "Camera"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_exif_is_found(kind: str, block: int) -> None:
    def has_marks(**options: object) -> bool:
        file = io.BytesIO()
        Image.new("RGB", (3, 2)).save(file, kind, **options)
        scan = MarkerScan(f"image/{kind.lower()}")
        for start in range(0, len(file.getvalue()), block):
            scan.add(file.getvalue()[start : start + block])
        return scan.found

    assert has_marks(exif=EXIF)
    assert not has_marks()


@pytest.mark.parametrize(
    ("type_", "mark"),
    [
        ("image/jpeg", b"http://ns.adobe.com/xap/1.0/"),
        ("image/jpeg", b"Photoshop 3.0\0"),
        ("image/png", b"iTXtXML:com.adobe.xmp\0"),
        ("image/png", b"zTXtRaw profile type exif\0"),
        ("image/gif", b"\x0bXMP DataXMP<?xpacket"),
        ("image/webp", b"XMP \x10\0\0\0"),
        ("image/heic", b"infe\x02\0\0\0\0\x01\0\0Exif\0"),
    ],
)
def test_marks_of_other_metadata_are_found(type_: str, mark: bytes) -> None:
    scan = MarkerScan(type_)
    scan.add(b"." * 1000)
    assert not scan.found
    scan.add(mark)
    assert scan.found
