"""Files in a gateway's store, for tests that read them over HTTP."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from models.blobs.blob import Blob
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.files.file import READY
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.models import stored_files
from tests.stores import settings_of


def objects_of(gateway: Gateway) -> ObjectStore:
    """A gateway's store of objects."""
    return open_store(settings_of(gateway.data, gateway.store_settings))


def store_file(gateway: Gateway, owner: Client, content: bytes, thumbnail: bytes | None = None, **columns: Any) -> int:
    """Store a file that is ready, and that its owner has not sent; return its id."""
    columns = {"name": "notes.txt", "type_": "text/plain", "state": READY, **columns}
    with gateway.store():
        return stored_files.store_file(objects_of(gateway), owner.id, content, thumbnail, **columns)


def replace_content(gateway: Gateway, file: int, content: bytes) -> None:
    """Replace a file's content, as the processing of pictures does."""
    with gateway.store():
        stored_files.replace_content(objects_of(gateway), file, content)


def object_path(gateway: Gateway, content: bytes) -> Path:
    """The path of the object with this content, which is in a folder."""
    with gateway.store():
        (key,) = Blob.select(Blob.key).where(Blob.sha256 == hashlib.sha256(content).hexdigest()).tuples().get()
    path = objects_of(gateway).local_path(key)
    assert path is not None
    return path
