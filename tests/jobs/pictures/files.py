"""Pictures in a store, and the messages and posts that have them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import msgspec
from PIL import Image

from conf import Settings
from models.blobs.blob import Blob
from models.blobs.opening import open_store
from models.chat.drafts import Draft
from models.chat.message import Posted, post
from models.files.file import File
from models.files.markers import MarkerScan
from models.log import event
from models.store.database import rows
from tests.models.stored_files import store_file


def store_picture(settings: Settings, owner: int, content: bytes, type_: str = "image/png", name: str = "a.png") -> int:
    """Store a picture that its owner has not sent; returns its id."""
    scan = MarkerScan(type_)
    scan.add(content)
    return store_file(open_store(settings), owner, content, name=name, type_=type_, private=scan.found)


def send_files(sender: int, to: int, files: Sequence[int], body: str = "") -> int:
    """Send a message with files; returns its id."""
    with event.transaction() as tx:
        (sent,) = post(tx, [Draft(sender, 0, body, to=to, files=list(files))])
    assert isinstance(sent, Posted), sent
    return int(msgspec.json.decode(sent.json)["id"])


def file_of(number: int) -> dict[str, Any]:
    """A file's row."""
    return dict(File.select().where(File.id == number).dicts().get())


def content_of(settings: Settings, blob: int) -> bytes:
    """The bytes of an object, which are those that its row describes."""
    row = Blob.get_by_id(blob)
    data = b"".join(open_store(settings).read(row.key))
    assert (row.state, row.bytes, row.sha256) == ("stored", len(data), hashlib.sha256(data).hexdigest())
    return data


def picture_of(settings: Settings, blob: int) -> Image.Image:
    """An object as a picture."""
    return Image.open(io.BytesIO(content_of(settings, blob)))


def objects(settings: Settings) -> set[str]:
    """The names of all objects in the store."""
    return {key for key, _ in open_store(settings).sizes()}


def unused() -> set[str]:
    """The names of the objects that the sweeper removes."""
    return {key for (key,) in rows("SELECT key FROM blobs WHERE state<>'stored'")}


def updates() -> list[dict[str, Any]]:
    """The data of `message.updated` and `post.updated`, oldest first."""
    return [
        msgspec.json.decode(data)
        for (data,) in rows("SELECT data FROM events WHERE type IN ('message.updated', 'post.updated') ORDER BY id")
    ]
