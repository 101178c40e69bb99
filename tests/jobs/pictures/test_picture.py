"""Thumbnails, sizes and clean copies of single pictures, without a process."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import pytest
from PIL import Image

from jobs.pictures import picture, process
from jobs.pictures.process import PictureAnswer, PictureRequest
from tests.jobs.pictures.drawing import CAMERA, PLACE, XMP, animated, draw, encoded, exif, photo, srgb

TYPES = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/heic")
CORNERS = {1: "lu", 2: "ru", 3: "rd", 4: "ld", 5: "lu", 6: "ru", 7: "rd", 8: "ld"}  # orientation -> where the blue quarter is shown


@pytest.fixture(autouse=True)
def prepared() -> Iterator[None]:
    pixels = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        picture.prepare()
        yield
    Image.MAX_IMAGE_PIXELS = pixels


def thumbnail(data: bytes, type_: str) -> tuple[tuple[int, int], Image.Image]:
    """The size of a picture as it is shown, and its thumbnail."""
    file = io.BytesIO()
    size = picture.write_thumbnail(io.BytesIO(data), type_, file)
    return size, Image.open(file)


def clean(data: bytes, type_: str) -> tuple[str, Image.Image, bytes]:
    """The type of a clean copy, the copy, and its bytes."""
    new_type, copy = picture.clean(io.BytesIO(data), type_)
    assert CAMERA not in copy
    assert PLACE not in copy
    return new_type, Image.open(io.BytesIO(copy)), copy


def is_blue(image: Image.Image, x: int, y: int) -> bool:
    red, _, blue, *_ = image.convert("RGBA").getpixel((x, y))  # type: ignore[misc]
    return bool(blue > red)


def corner(image: Image.Image) -> str:
    """The corner that is blue: `lu` is the left upper one."""
    right, down = image.width - 4, image.height - 4
    places = {"lu": (3, 3), "ru": (right, 3), "ld": (3, down), "rd": (right, down)}
    (found,) = [name for name, place in places.items() if is_blue(image, *place)]
    return found


@pytest.mark.parametrize("orientation", CORNERS)
def test_a_photo_is_shown_as_its_camera_was_held_and_stays_so_without_metadata(orientation: int) -> None:
    data = photo(orientation=orientation, icc_profile=srgb(), quality=90)
    shown = (64, 48) if orientation < 5 else (48, 64)
    size, small = thumbnail(data, "image/jpeg")
    assert (size, small.size, corner(small)) == (shown, shown, CORNERS[orientation])
    type_, copy, _ = clean(data, "image/jpeg")
    assert (type_, copy.size, corner(copy), len(copy.getexif())) == ("image/jpeg", shown, CORNERS[orientation], 0)
    assert copy.info["icc_profile"] == srgb()


@pytest.mark.parametrize("type_", TYPES)
def test_camera_and_place_leave_each_kind_of_picture(type_: str) -> None:
    data = photo(type_, xmp=XMP) if type_ != "image/png" else photo(type_)
    assert CAMERA in data
    new_type, copy, _ = clean(data, type_)
    assert new_type == ("image/jpeg" if type_ == "image/heic" else type_)
    assert (copy.size, corner(copy), len(copy.getexif()), "xmp" in copy.info) == ((64, 48), "lu", 0, False)


@pytest.mark.parametrize("type_", ["image/jpeg", "image/png", "image/webp", "image/avif"])
def test_the_pixels_of_a_picture_that_is_not_rotated_stay_as_they_are(type_: str) -> None:
    data = photo(type_)
    _, copy, _ = clean(data, type_)
    assert copy.tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("type_", ["image/png", "image/webp"])
def test_a_rotated_picture_of_another_kind_is_encoded_anew(type_: str) -> None:
    lossless = {"lossless": True} if type_ == "image/webp" else {}
    new_type, copy, _ = clean(photo(type_, 6, **lossless), type_)
    assert (new_type, copy.size, corner(copy), len(copy.getexif())) == (type_, (48, 64), "ru", 0)
    assert copy.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_a_film_after_the_end_of_a_photo_and_its_comments_go() -> None:
    data = photo(comment=PLACE) + b"\0\0\0\x18ftypmp42" + PLACE
    clean(data, "image/jpeg")


def test_several_photos_in_one_file_become_the_first() -> None:
    data = io.BytesIO()
    draw().save(data, "MPO", save_all=True, append_images=[draw().rotate(180)], exif=exif(6))
    assert Image.open(data).format == "MPO"
    _, copy, _ = clean(data.getvalue(), "image/jpeg")
    assert (copy.format, copy.size, corner(copy)) == ("JPEG", (48, 64), "ru")


@pytest.mark.parametrize("type_", ["image/gif", "image/webp", "image/png"])
def test_a_picture_that_moves_keeps_its_frames(type_: str) -> None:
    data = animated(type_, **({} if type_ == "image/gif" else {"exif": exif(6)}))
    if type_ == "image/gif":
        data = data[:-1] + b"\x21\xff\x0bXMP DataXMP" + bytes((len(XMP),)) + XMP + b"\0\x21\xfe\x0b" + PLACE + b"\0\x3b" + PLACE
    _, copy, _ = clean(data, type_)
    assert (copy.n_frames, copy.size, copy.info["loop"]) == (3, (64, 48), 0)  # type: ignore[attr-defined]
    _, small = thumbnail(data, type_)
    assert getattr(small, "n_frames", 1) == 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16"])
def test_a_png_of_each_kind_of_pixels_has_a_thumbnail_of_its_colours(mode: str) -> None:
    image = draw(mode="L").convert("I").point(lambda value: value * 257).convert(mode) if mode == "I;16" else draw(mode=mode)
    data = encoded(image, "image/png")
    size, small = thumbnail(data, "image/png")
    assert (size, small.format) == ((64, 48), "WEBP")
    dark, bright = (small.convert("L").getpixel(place) for place in ((3, 3), (60, 40)))
    assert abs(dark - 29) < 6  # type: ignore[operator]
    assert abs(bright - 76) < 6  # type: ignore[operator]


def test_what_is_transparent_stays_so_in_the_thumbnail() -> None:
    image = draw(mode="P")
    data = encoded(image, "image/png", transparency=image.getpixel((0, 0)))
    _, small = thumbnail(data, "image/png")
    assert [small.convert("RGBA").getpixel(place)[3] for place in ((3, 3), (60, 40))] == [0, 255]  # type: ignore[index]


def test_printers_colours_become_those_of_screens() -> None:
    data = encoded(draw(mode="CMYK"), "image/jpeg", exif=exif(6), quality=95)
    size, small = thumbnail(data, "image/jpeg")
    assert (size, small.mode, corner(small)) == ((48, 64), "RGB", "ru")
    _, copy, _ = clean(data, "image/jpeg")
    assert (copy.mode, corner(copy)) == ("CMYK", "ru")


def test_a_thin_picture_has_a_thumbnail() -> None:
    size, small = thumbnail(encoded(Image.new("L", (5000, 1)), "image/png"), "image/png")
    assert (size, small.size) == ((5000, 1), (512, 1))


def test_a_photo_that_nothing_here_can_decode_is_clean_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data, thumbnail, copy = photo("image/heic", xmp=XMP), io.BytesIO(), io.BytesIO()
    pixels = Image.open(io.BytesIO(data)).tobytes()
    with monkeypatch.context() as patched:
        patched.delitem(Image.OPEN, "HEIF")
        answer = process._answer(
            PictureRequest("image/heic", private=True, cpu_s=1, max_bytes=1), io.BytesIO(data), thumbnail, copy
        )
    assert (answer, thumbnail.getvalue(), len(copy.getvalue())) == (PictureAnswer(type="image/heic"), b"", len(data))
    assert not picture.has_marks(copy.getvalue(), "image/heic")
    assert Image.open(copy).tobytes() == pixels


def test_a_mark_in_the_profile_of_colours_goes_with_it() -> None:
    data = encoded(draw(), "image/jpeg", icc_profile=srgb() + b"Exif\0\0" + CAMERA)
    _, copy, _ = clean(data, "image/jpeg")
    assert "icc_profile" not in copy.info
