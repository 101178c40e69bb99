"""Pictures for the tests: ordinary ones, with metadata, and hostile ones."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pillow_heif
from PIL import Image, ImageCms, ImageDraw

pillow_heif.register_heif_opener()

CAMERA, PLACE = b"SecretCamera", b"SecretPlace"
XMP = b"<x:xmpmeta>" + PLACE + b"</x:xmpmeta>"
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
}


def draw(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture whose left upper quarter is blue and whose rest is red."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, width // 2 - 1, height // 2 - 1), fill=(0, 0, 255))
    return image.convert(mode)


def encoded(image: Image.Image, type_: str, **options: Any) -> bytes:
    """A picture's bytes."""
    file = io.BytesIO()
    image.save(file, FORMATS[type_], **options)
    return file.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """Exif data with a camera and a position."""
    data = Image.Exif()
    data[0x0112], data[0x010F] = orientation, CAMERA.decode()
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 1.0), 0x1D: PLACE.decode()})
    return data


def photo(type_: str = "image/jpeg", orientation: int = 1, **options: Any) -> bytes:
    """A photo that names its camera and place."""
    return encoded(draw(), type_, exif=exif(orientation), **options)


@functools.cache
def srgb() -> bytes:
    """A profile of colours, which has the time when it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes, width: int = 8, height: int = 8) -> bytes:
    """A PNG of 8 × 8 pixels that says that it has others, with further chunks."""
    pixels = chunk(b"IDAT", zlib.compress(bytes(9 * 8)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def animated(type_: str, **options: Any) -> bytes:
    """A picture with three frames."""
    frames = [draw(), draw().rotate(90), draw().rotate(180)]
    return encoded(frames[0], type_, save_all=True, append_images=frames[1:], duration=100, loop=0, **options)


def resized(data: bytes, at: int, code: str, width: int, height: int) -> bytes:
    """A picture whose header says that it has another size."""
    size = struct.pack(code, width, height)
    return data[:at] + size + data[at + len(size) :]


def hostile() -> Mapping[str, tuple[str, bytes, str]]:
    """Hostile pictures by name: the type that the server recognises, the bytes, and the state in which it ends."""
    jpeg, gif = encoded(draw(), "image/jpeg"), encoded(draw(), "image/gif")
    webp, flat = encoded(draw(), "image/webp", lossless=True), encoded(draw(), "image/png")
    zeros = zlib.compress(bytes(60_000_000), 9)
    frame = jpeg.index(b"\xff\xc0") + 5
    return {
        "png of 10 gigapixels": ("image/png", png(width=100_000, height=100_000), "failed"),
        "png of 4 rows of 12 million": ("image/png", png(width=12_000_000, height=4), "failed"),
        "gif of 4 gigapixels": ("image/gif", resized(gif, 6, "<HH", 65_535, 65_535), "failed"),
        "gif with a frame beyond its size": (
            "image/gif",
            resized(gif, gif.index(b"\x2c\0\0") + 5, "<HH", 60_000, 60_000),
            "failed",
        ),
        "webp of 268 megapixels": ("image/webp", resized(webp, 21, "<HH", 0xFFFF, 0xFFFF), "failed"),
        "jpeg of 4 gigapixels": ("image/jpeg", resized(jpeg, frame, ">HH", 65_500, 65_500), "failed"),
        "jpeg that ends early": ("image/jpeg", jpeg[: len(jpeg) * 3 // 4], "failed"),
        "png that ends early": ("image/png", flat[: len(flat) // 2], "failed"),
        "webp that ends early": ("image/webp", webp[: len(webp) // 2], "failed"),
        "only a beginning": ("image/png", flat[:8], "failed"),
        "png that is called a jpeg": ("image/jpeg", flat, "failed"),
        "png of no height": ("image/png", png(width=8, height=0), "failed"),
        "text of 60 MB in a png": ("image/png", png(chunk(b"zTXt", b"Comment\0\0" + zeros)), "failed"),
        "international text of 60 MB": ("image/png", png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros)), "failed"),
        "profile of 60 MB": ("image/png", png(chunk(b"iCCP", b"profile\0\0" + zeros)), "failed"),
        "profile that is none": ("image/jpeg", encoded(draw(), "image/jpeg", icc_profile=b"\xff" * 3000), "ready"),
        "jpeg that is a zip, too": ("image/jpeg", jpeg + b"PK\x05\x06" + bytes(18), "ready"),
        "gif that is a script, too": ("image/gif", gif + b"*/=1;alert(1)", "ready"),
    }
