"""One picture: its size, its thumbnail, and its bytes without metadata. It runs in a process of its own, see `process`.

Anything may be raised by a decoder that is handed hostile bytes: the caller treats every exception as a picture that is broken.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.util import find_spec
from typing import IO, Any

from PIL import AvifImagePlugin, Image, ImageCms, JpegImagePlugin, MpoImagePlugin, TiffImagePlugin

from jobs.pictures import containers
from models.files.markers import MarkerScan

MAX_PIXELS = 50_000_000
THUMBNAIL_PX = 512
THUMBNAIL_QUALITY, QUALITY, AVIF_SPEED = 80, 92, 8
ORIENTATION = 0x0112
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FORMATS = {  # the decoders that may open a type
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/gif": ("GIF",),
    "image/webp": ("WEBP",),
    "image/avif": ("AVIF",),
    "image/heic": ("HEIF",),
}
ENCODERS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/avif": "AVIF"}
ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
SRGB = ImageCms.createProfile("sRGB")

__all__ = ["MpoImagePlugin", "TiffImagePlugin"]  # Pillow imports these when a picture needs them, which may open no file any more


class UnfitError(Exception):
    """The picture is too large, or metadata was left in it."""


def prepare() -> None:
    """Load all that Pillow loads late, and set its limits. Only one thread decodes: a process may not start more."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    sample, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (8, 8)).save(sample, "JPEG", exif=exif, icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes())
    write_thumbnail(sample, "image/jpeg", io.BytesIO())
    clean(sample, "image/jpeg")


def can_decode(type_: str) -> bool:
    """Whether the library for a type is installed: those of AVIF and HEIC may be missing."""
    return any(name in Image.OPEN for name in FORMATS[type_])


def open_picture(file: IO[bytes], type_: str) -> Image.Image:
    """Open a picture without decoding it. Raises UnfitError if it has too many pixels."""
    file.seek(0)
    image = Image.open(file, formats=FORMATS[type_])
    if image.width * image.height > MAX_PIXELS:
        raise UnfitError("too many pixels")
    return image


def orientation_of(image: Image.Image) -> int:
    """The orientation of the Exif standard, 1 to 8. It is 1 where browsers can't read it either."""
    with contextlib.suppress(Exception):
        value = image.getexif().get(ORIENTATION)
        if isinstance(value, int) and 1 <= value <= 8:
            return value
    return 1


def write_thumbnail(file: IO[bytes], type_: str, to: IO[bytes]) -> tuple[int, int]:
    """Write the thumbnail of the first frame as WebP without metadata; return the size of the picture as it is shown."""
    image = open_picture(file, type_)
    width, height = image.size
    orientation = orientation_of(image)
    profile = image.info.get("icc_profile")
    image = _with_whole_colours(image)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS, reducing_gap=1.5)
    image = _as_srgb(image, profile)
    image = _bare(_oriented(image, orientation))
    image.save(to, "WEBP", quality=THUMBNAIL_QUALITY, method=4)
    return (height, width) if orientation >= 5 else (width, height)


def _with_whole_colours(image: Image.Image) -> Image.Image:
    """Convert a picture whose pixels are not colours: those of a palette can't be averaged, and deep ones would be cut off."""
    if image.mode in DEEP_MODES:
        return image.convert("F").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("1", "P", "PA", "LA", "La") or image.has_transparency_data:
        return image.convert("RGBA" if image.mode in ALPHA_MODES or image.has_transparency_data else "RGB")
    return image


def _as_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in the colours that all screens have. A profile that can't be read is left out, as browsers do."""
    shown_mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        with contextlib.suppress(Exception):
            alpha = image.getchannel("A") if image.mode == "RGBA" else None
            opaque = image.convert("RGB") if image.mode == "RGBA" else image
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(opaque, source, SRGB, outputMode="RGB")
            if converted is not None:
                if alpha is not None:
                    converted.putalpha(alpha)
                return converted
    return image if image.mode == shown_mode else image.convert(shown_mode)


def _oriented(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as it is shown."""
    return image.transpose(TRANSPOSITIONS[orientation]) if orientation in TRANSPOSITIONS else image


def _bare(image: Image.Image) -> Image.Image:
    """The picture without all that Pillow would write of its metadata."""
    bare = image.copy() if type(image) is not Image.Image else image
    bare.info = {}
    return bare


def clean(file: IO[bytes], type_: str) -> tuple[str, bytes]:
    """Return a picture's type and bytes without metadata. Raises UnfitError if some was left.

    The pixels stay as they are where the container allows it: the orientation is 1, or outside of the metadata, or the picture
    moves. A photo of a phone (HEIC) becomes a JPEG, which all browsers show.
    """
    if not can_decode(type_):
        return type_, _without_metadata(file, type_)
    image = open_picture(file, type_)
    orientation = orientation_of(image)
    keeps_pixels = orientation == 1 or type_ == "image/avif" or (type_ != "image/jpeg" and getattr(image, "n_frames", 1) > 1)
    if keeps_pixels and type_ != "image/heic":
        with contextlib.suppress(containers.BrokenError, UnfitError):
            return type_, _without_metadata(file, type_)
    for profile in (image.info.get("icc_profile"), None):  # a mark may be in the profile
        new_type, data = _encoded(file, type_, orientation, profile)
        if not has_marks(data, new_type):
            return new_type, data
    raise UnfitError("metadata was left")


def _without_metadata(file: IO[bytes], type_: str) -> bytes:
    """The picture with the pixels that it has. Raises BrokenError and UnfitError."""
    file.seek(0)
    data = containers.without_metadata(type_, file.read())
    if has_marks(data, type_):
        raise UnfitError("metadata was left")
    return data


def has_marks(data: bytes, type_: str) -> bool:
    """Whether a picture has marks of metadata."""
    scan = MarkerScan(type_)
    scan.add(data)
    return scan.found


def _encoded(file: IO[bytes], type_: str, orientation: int, profile: bytes | None) -> tuple[str, bytes]:
    """A picture's type and bytes, encoded anew."""
    file.seek(0)
    is_lossless = b"VP8L" in file.read(64)  # of WebP
    image = open_picture(file, type_)
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if type_ == "image/heic":
        type_ = "image/jpeg"
        options |= {"quality": QUALITY}
    elif type_ == "image/jpeg":
        options |= _same_quality(image)
    elif type_ == "image/webp":
        options |= {"lossless": is_lossless, "quality": QUALITY, "method": 2, "exact": True}
    elif type_ == "image/avif":
        options |= {"quality": QUALITY, "speed": AVIF_SPEED, "max_threads": 1}
    if type_ == "image/jpeg" and image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    encoded = io.BytesIO()
    _bare(_oriented(image, orientation)).save(encoded, ENCODERS[type_], **options)
    return type_, encoded.getvalue()


def _same_quality(image: Image.Image) -> dict[str, Any]:
    """The options that encode a JPEG as finely as it was, no finer: it keeps about its length."""
    tables = getattr(image, "quantization", None)
    sampling = JpegImagePlugin.get_sampling(image)
    if not tables:
        return {"quality": QUALITY}
    return {"qtables": list(tables.values()), "subsampling": max(0, sampling)}
