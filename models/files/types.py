"""The type of a file, from its first bytes alone: a client may claim anything.

The types that browsers show are recognised here, by rules that a reader can check. All else is a document: its type is for people
only, since documents are downloaded and never shown.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

HEAD_BYTES = 8192  # enough for the folders at the beginning of an office document
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
MAX_TYPE_CHARS = 100

INLINE = {
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/wav", "audio/flac", "audio/webm"),
    *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "application/pdf"),
}
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/bmp": "bmp",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/webm": "weba",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/gzip": "gz",
    TEXT: "txt",
}

OFFICE = "application/vnd.openxmlformats-officedocument."
ZIPPED = (  # (the name of an entry near the beginning, type)
    (b"word/", f"{OFFICE}wordprocessingml.document"),
    (b"xl/", f"{OFFICE}spreadsheetml.sheet"),
    (b"ppt/", f"{OFFICE}presentationml.presentation"),
)
OPEN_DOCUMENT = re.compile(rb"mimetype(application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z-]{4,30}))(?![a-z-])")
BRANDS = {  # of ISO media files (ISO/IEC 14496-12), whose second box is not looked at
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"mif1": "image/heic",
    b"msf1": "image/heic",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
BEGINNINGS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
)
MPEG_BITRATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s of MPEG 1, layer III
MPEG_BITRATES_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # of MPEG 2 and 2.5
MPEG_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version


def is_inline(type_: str) -> bool:
    """Whether a browser may show a file of this type: pictures, audio, video and PDF, never what may have a script in it."""
    return type_ in INLINE


@cache
def pictures() -> frozenset[str]:
    """The types that become pictures with a thumbnail and a size: those that Pillow can open here."""
    types = {"image/jpeg", "image/png", "image/gif", "image/webp"}
    types |= {"image/avif"} if find_spec("PIL._avif") else set()
    types |= {"image/heic"} if find_spec("pillow_heif") else set()
    return frozenset(types)


def type_of(head: bytes, *, is_whole: bool) -> str:
    """The type of a file with this beginning, HEAD_BYTES of it or more. `is_whole`: there is no more of it."""
    for beginning, type_ in BEGINNINGS:
        if head.startswith(beginning):
            return type_
    for recognise in (_iso_media, _riff, _ogg, _webm, _zip, _bitmap, _mpeg_audio, _adts):
        type_of_kind = recognise(head)
        if type_of_kind is not None:
            return type_of_kind
    return TEXT if _is_text(head, is_whole=is_whole) else UNKNOWN


def _iso_media(head: bytes) -> str | None:
    """MP4, QuickTime, HEIC and AVIF: a first box `ftyp` with brands. Old QuickTime files begin with another box."""
    if head[4:8] in (b"moov", b"wide") or (head[4:8] == b"mdat" and int.from_bytes(head[:4]) not in range(2, 8)):
        return "video/quicktime"
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4]), 512)
    brands = [head[8:12], *(head[n : n + 4] for n in range(16, end, 4))]
    main = BRANDS.get(brands[0])
    if main == "image/heic" and (b"avif" in brands or b"avis" in brands):
        return "image/avif"
    return main or ("audio/mp4" if _has_only_sound(head) else "video/mp4")


def _has_only_sound(head: bytes) -> bool:
    """Whether an MP4 whose tracks are described at its beginning has sound and no picture: a voice memo of a browser."""
    return b"soun" in head and b"vide" not in head


def _riff(head: bytes) -> str | None:
    if head[:4] not in (b"RIFF", b"RF64"):
        return None
    return {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12])


def _ogg(head: bytes) -> str | None:
    if head[:4] != b"OggS":
        return None
    return "video/ogg" if b"theora" in head[:512] else "audio/ogg"


def _webm(head: bytes) -> str | None:
    """Matroska and WebM, which is audio if its tracks have a codec for sound only."""
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    if b"webm" not in head[:64]:
        return "video/x-matroska"
    has_sound, has_picture = b"A_OPUS" in head or b"A_VORBIS" in head, b"V_" in head
    return "audio/webm" if has_sound and not has_picture else "video/webm"


def _zip(head: bytes) -> str | None:
    if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    marked = OPEN_DOCUMENT.match(head, 30)
    if marked is not None:
        return marked[1].decode()
    if b"[Content_Types].xml" in head:
        for entry, type_ in ZIPPED:
            if entry in head:
                return type_
    return "application/zip"


def _bitmap(head: bytes) -> str | None:
    is_bitmap = head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
    return "image/bmp" if is_bitmap else None


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 without a tag at its beginning: a frame that is followed by another one."""
    length = _mpeg_frame_bytes(head[:4])
    return "audio/mpeg" if length and _mpeg_frame_bytes(head[length : length + 4]) else None


def _mpeg_frame_bytes(header: bytes) -> int:
    """The length of a frame of layer III; 0 if this is no header of one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate, padding = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or not 0 < bitrate < 15 or rate == 3:
        return 0
    kbit, samples = (MPEG_BITRATES, 144) if version == 3 else (MPEG_BITRATES_LOW, 72)
    return samples * kbit[bitrate] * 1000 // MPEG_RATES_HZ[version][rate] + padding


def _adts(head: bytes) -> str | None:
    """AAC in ADTS: a frame that is followed by another one."""
    length = _adts_frame_bytes(head)
    return "audio/aac" if length and _adts_frame_bytes(head[length:]) else None


def _adts_frame_bytes(frame: bytes) -> int:
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
        return 0
    return (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5


def _is_text(head: bytes, *, is_whole: bool) -> bool:
    """Whether this is UTF-8 without control characters; the last character may be cut."""
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) or not head:
        return False
    for cut in range(1 if is_whole else 4):
        try:
            head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False
