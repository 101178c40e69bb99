"""Files for tests, as uploads leave them."""

from __future__ import annotations

import hashlib

from models.blobs import blob as blobs
from models.blobs.objects import ObjectStore
from models.files.file import READY, File
from models.log import event


def upload(
    owner: int,
    name: str = "plan.pdf",
    content: bytes = b"words",
    *,
    objects: ObjectStore | None = None,
    type_: str = "application/pdf",
    state: str = READY,
) -> int:
    """Create a file that its owner has not sent; return its id. Its object is written only into a store of objects."""
    with event.transaction() as tx:
        blob = blobs.begin(tx, len(content), owner)
    if objects is not None:
        writer = objects.writer(blob.key)
        writer.write(content)
        writer.finish()
    with event.transaction() as tx:
        blobs.mark_stored(tx, blob.id, len(content), hashlib.sha256(content).hexdigest())
        values = {"owner": owner, "name": name, "type": type_, "bytes": len(content), "state": state, "content": blob.id}
        return int(File.insert(**values, private=False, position=0, attempts=0, created_ms=tx.now_ms).execute())
