"""Pictures of messages and posts: what becomes of them, of their bytes, and of what their receivers get."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

from conf import Settings
from jobs.pictures.processor import PictureProcessor
from tests.jobs.people import people
from tests.jobs.pictures.files import content_of, file_of, picture_of, send_files, store_file, updates
from tests.waiting import until


def png(width: int = 40, height: int = 20, colour: str = "red") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(encoded, "PNG")
    return encoded.getvalue()


def test_a_picture_gets_a_size_and_a_thumbnail_and_its_message_is_updated(
    store: Settings, start: Callable[[], PictureProcessor]
) -> None:
    ana, ben = people("ana", "ben")
    content = png(1200, 600)
    number = store_file(store, ana, content)
    message = send_files(ana, ben, [number], "look")
    start()
    (update,) = until(updates)
    (view,) = update["files"]
    assert (update["id"], update["body"], update["edited_at"]) == (message, "look", None)
    assert (update["mentions_added"], update["mentions_all_added"]) == ([], False)
    assert {"width": 1200, "height": 600, "thumbnail": True, "state": "ready"}.items() <= view.items()
    row = file_of(number)
    assert content_of(store, row["content"]) == content
    thumbnail = picture_of(store, row["thumbnail"])
    assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("WEBP", (512, 256), "RGB")
