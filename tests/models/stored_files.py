"""Files that their owners have not sent, in the store that the models are bound to: tests of what comes after begin with them."""

from __future__ import annotations

import hashlib
from typing import Any

from models.blobs import blob as blobs
from models.blobs.objects import ObjectStore
from models.files import upload
from models.files.file import File
from models.files.upload import ReceivedFile, UploadLimits
from models.log import event

LIMITS = UploadLimits(1 << 30, 1 << 40)


def store_file(
    objects: ObjectStore | None,
    owner: int,
    content: bytes = b"words",
    thumbnail: bytes | None = None,
    *,
    name: str = "plan.pdf",
    type_: str = "application/pdf",
    private: bool = False,
    **columns: Any,
) -> int:
    """Store a file by the two transactions of an upload, then set `columns` of its row; return its id. Without a store of objects
    there is only the row of its object."""
    with event.transaction() as tx:
        begun = upload.begin(tx, owner, len(content), LIMITS)
    sha256 = write_object(objects, begun.object.key, content)
    if thumbnail is not None:
        columns["thumbnail"] = store_blob(objects, thumbnail)
    with event.transaction() as tx:
        file = upload.complete(tx, begun, ReceivedFile(name, type_, len(content), sha256, private)).id
        if columns:
            File.update(**columns).where(File.id == file).execute()
    return file


def store_blob(objects: ObjectStore | None, content: bytes) -> int:
    """Store an object of no file; return the id of its row."""
    with event.transaction() as tx:
        blob, key = blobs.begin(tx, len(content))
    sha256 = write_object(objects, key, content)
    with event.transaction() as tx:
        blobs.mark_stored(tx, blob, len(content), sha256)
    return blob


def write_object(objects: ObjectStore | None, key: str, content: bytes) -> str:
    """Write an object that has a row; return its checksum."""
    if objects is not None:
        writer = objects.writer(key)
        writer.write(content)
        writer.finish()
    return hashlib.sha256(content).hexdigest()


def replace_content(objects: ObjectStore, file: int, content: bytes, **columns: Any) -> None:
    """Replace a file's content, as the processing of pictures does."""
    new = store_blob(objects, content)
    with event.transaction() as tx:
        (old,) = File.select(File.content).where(File.id == file).tuples().get()
        File.update(content=new, bytes=len(content), **columns).where(File.id == file).execute()
        blobs.discard(tx, [old])
