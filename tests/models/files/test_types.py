"""The type of a file comes from its bytes."""

import io
import zipfile

import pillow_heif
import pytest
from PIL import Image

from models.files.types import TEXT, UNKNOWN, is_inline, type_of

pillow_heif.register_heif_opener()
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, kind)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as entries:
        for name in names:
            entries.writestr(name, "x")
    return file.getvalue()


def matroska(kind: bytes, codec: bytes) -> bytes:
    return b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84" + kind + bytes(20) + codec + bytes(20)


SHOWN = [
    *((picture(kind), f"image/{kind.lower()}") for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP")),
    (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj", "application/pdf"),
    (b"%PDF-1.7\n1 0 obj", "application/pdf"),
    (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(90) + b"vide", "video/mp4"),
    (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso5" + bytes(90) + b"soun", "audio/mp4"),
    (b"\0\0\0\x1cftypM4A \0\0\x02\0isomiso2" + bytes(40), "audio/mp4"),
    (b"\0\0\0\x14ftypqt  \0\0\x02\0qt  " + bytes(40), "video/quicktime"),
    (matroska(b"webm", b"A_OPUS"), "audio/webm"),
    (matroska(b"webm", b"A_OPUS V_VP8"), "video/webm"),
    (b"OggS\0\x02" + bytes(22) + b"\x01\x13OpusHead" + bytes(30), "audio/ogg"),
    (b"OggS\0\x02" + bytes(22) + b"\x01\x2a\x80theora" + bytes(30), "video/ogg"),
    (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "audio/wav"),
    (b"ID3\x04\0\0" + bytes(40), "audio/mpeg"),
    (b"\xff\xfb\x90\x64" + bytes(800), "audio/mpeg"),
    (b"\xff\xf3\x90\x64" + bytes(800), "audio/mpeg"),
    (b"fLaC\0\0\0\x22" + bytes(30), "audio/flac"),
]
DOCUMENTS = [
    (picture("HEIF"), "image/heic"),
    (b"<svg onload=alert(1)>", "image/svg+xml"),
    (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "image/svg+xml"),
    (b"<!DOCTYPE html><html><script>alert(1)</script>", "text/html"),
    (b"<html>\0\xff<script>alert(1)</script>", "text/html"),
    (b"  \n<script>alert(1)</script>", TEXT),
    (b"GIF89a=1;alert(1)", TEXT),
    (b"BMW and MZ are two letters", TEXT),
    ("grüße\n".encode(), TEXT),
    (archive("a.txt"), "application/zip"),
    (archive("[Content_Types].xml", "word/document.xml"), WORD),
    (matroska(b"matroska", b"V_VP8"), "video/x-matroska"),
    (b"RIFF\x24\0\0\0AVI LIST " + bytes(30), "video/x-msvideo"),
    (bytes(range(256)), UNKNOWN),
    ("hello".encode("utf-16"), UNKNOWN),
    (b"\xff", UNKNOWN),
]


@pytest.mark.parametrize(("head", "expected"), SHOWN)
def test_what_browsers_may_show_is_recognised(head: bytes, expected: str) -> None:
    assert type_of(head, is_whole=True) == expected
    assert is_inline(expected)


@pytest.mark.parametrize(("head", "expected"), DOCUMENTS)
def test_all_else_is_a_document(head: bytes, expected: str) -> None:
    assert type_of(head, is_whole=True) == expected
    assert not is_inline(expected)


def test_a_text_may_be_cut_in_the_middle_of_a_character() -> None:
    assert type_of("ü".encode()[:1], is_whole=True) == UNKNOWN
    assert type_of(("text ü" + "ü").encode()[:-1], is_whole=False) == TEXT
