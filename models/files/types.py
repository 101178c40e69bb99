"""The type of a file, from its first bytes alone: a client may claim anything.

puremagic recognises it. Containers whose magic is the same for sound, pictures and documents are told apart here. What browsers do
not show inline is a document: its type is for people only, since documents are downloaded.
"""

from __future__ import annotations

import re

import puremagic

HEAD_BYTES = 8192  # enough for the folders at the beginning of an office document
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
MAX_TYPE_CHARS = 100

INLINE = {
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/wav", "audio/flac", "audio/webm"),
    *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "application/pdf"),
}
PICTURES = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/heic"}  # which workers make ready
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

NAMES = {  # other names of types, and what they are called here
    "application/ogg": "audio/ogg",
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/heif": "image/heic",
    "image/x-ms-bmp": "image/bmp",
}
TEXTS = (
    "image/svg+xml",
    "text/html",
    "application/xml",
    "application/pdf",
    "application/rtf",
    "text/rtf",
)  # with a type of their own
MIN_CONFIDENCE = 0.3  # of a type that browsers do not show: shorter magic is in too much else
TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
OFFICE = "application/vnd.openxmlformats-officedocument."
ZIPPED = (  # (the name of an entry near the beginning, type)
    (b"word/", f"{OFFICE}wordprocessingml.document"),
    (b"xl/", f"{OFFICE}spreadsheetml.sheet"),
    (b"ppt/", f"{OFFICE}presentationml.presentation"),
)
OPEN_DOCUMENT = re.compile(rb"mimetype(application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z-]{4,30}))(?![a-z-])")
BRANDS = {  # the first brand of ISO media files (ISO/IEC 14496-12); all others are MP4
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


def is_inline(type_: str) -> bool:
    """Whether a browser may show a file of this type: pictures, audio, video and PDF, never what may have a script in it."""
    return type_ in INLINE


def type_of(head: bytes, *, is_whole: bool) -> str:
    """The type of a file with this beginning, HEAD_BYTES of it or more. `is_whole`: there is no more of it."""
    for recognise in (_iso_media, _matroska, _riff, _zip, _mpeg_audio):
        type_ = recognise(head)
        if type_ is not None:
            return type_
    found = _by_magic(head)
    if _is_text(head, is_whole=is_whole):
        return next((type_ for type_, _ in found if type_ in TEXTS), TEXT)
    shown = [type_ for type_, _ in found if type_ in INLINE]
    if shown:
        return "video/ogg" if shown[0] == "audio/ogg" and b"theora" in head[:512] else shown[0]
    return next((type_ for type_, confidence in found if confidence >= MIN_CONFIDENCE and TYPE.fullmatch(type_)), UNKNOWN)


def _by_magic(head: bytes) -> list[tuple[str, float]]:
    """(type, confidence from 0 to 1) of all that may begin so, the likeliest first."""
    try:
        found = puremagic.magic_string(head)
    except puremagic.PureError:  # nothing begins so
        return []
    return [(NAMES.get(match.mime_type, match.mime_type), match.confidence) for match in found]


def _iso_media(head: bytes) -> str | None:
    """MP4, QuickTime, HEIC and AVIF: a first box `ftyp` with brands. Their magic is the same but for the brands."""
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


def _matroska(head: bytes) -> str | None:
    """Matroska and WebM, which is audio if its tracks have a codec for sound only."""
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    if b"webm" not in head[:64]:
        return "video/x-matroska"
    has_sound, has_picture = b"A_OPUS" in head or b"A_VORBIS" in head, b"V_" in head
    return "audio/webm" if has_sound and not has_picture else "video/webm"


def _riff(head: bytes) -> str | None:
    if head[:4] not in (b"RIFF", b"RF64"):
        return None
    return {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12])


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 of any MPEG version without a tag at its beginning: the header of a frame of layer III."""
    return "audio/mpeg" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else None


def _zip(head: bytes) -> str | None:
    """ZIP, and the office documents that are one: by the names of their first entries."""
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
