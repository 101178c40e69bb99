"""Files in a gateway's store, written as uploads and the processing of pictures write them."""

from __future__ import annotations

import hashlib
from typing import Any

from conf import Settings
from models.blobs import blob as blobs
from models.blobs.opening import open_store
from models.files.file import READY, File
from models.log.event import Transaction, transaction
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.stores import settings_of


def store_file(gateway: Gateway, owner: Client, content: bytes, thumbnail: bytes | None = None, **columns: Any) -> int:
    """Store a file that its owner has not sent yet, and return its id."""
    with gateway.store():
        return write_file(settings_of(gateway.data, gateway.store_settings), owner.id, content, thumbnail, **columns)


def write_file(settings: Settings, owner: int, content: bytes, thumbnail: bytes | None = None, **columns: Any) -> int:
    """The same in the store that the models are bound to."""
    with transaction() as tx:
        row = {
            **{"owner": owner, "name": "notes.txt", "type": "text/plain", "bytes": len(content), "state": READY},
            **{"private": False, "position": 0, "attempts": 0, "created_ms": tx.now_ms},
            "content": _store(settings, tx, content),
            "thumbnail": None if thumbnail is None else _store(settings, tx, thumbnail),
            **columns,
        }
        return int(File.insert(**row).execute())


def _store(settings: Settings, tx: Transaction, content: bytes) -> int:
    """Store an object and return the id of its row."""
    blob = blobs.begin(tx, len(content))
    writer = open_store(settings).writer(blob.key)
    writer.write(content)
    writer.finish()
    blobs.mark_stored(tx, blob.id, len(content), hashlib.sha256(content).hexdigest())
    return blob.id


def replace_content(gateway: Gateway, file: int, content: bytes, **columns: Any) -> None:
    """Replace a file's content, as the processing of pictures does."""
    with gateway.store():
        rewrite_file(settings_of(gateway.data, gateway.store_settings), file, content, **columns)


def rewrite_file(settings: Settings, file: int, content: bytes, **columns: Any) -> None:
    """The same in the store that the models are bound to."""
    with transaction() as tx:
        (old,) = File.select(File.content).where(File.id == file).tuples().get()
        new = _store(settings, tx, content)
        File.update(content=new, bytes=len(content), **columns).where(File.id == file).execute()
        blobs.discard(tx, [old])


def object_path(gateway: Gateway, content: bytes) -> Any:
    """Where the object with this content is."""
    with gateway.store():
        sha256 = hashlib.sha256(content).hexdigest()
        (key,) = blobs.Blob.select(blobs.Blob.key).where(blobs.Blob.sha256 == sha256).tuples().get()
    return open_store(settings_of(gateway.data, gateway.store_settings)).local_path(key)
