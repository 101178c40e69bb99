"""Files that were uploaded, for tests of what comes after."""

from __future__ import annotations

import hashlib

from models.blobs import blob as blobs
from models.blobs.objects import ObjectStore
from models.files.file import READY, File
from models.files.usage import DAY_MS, FileUsage
from models.log import event


def stored_blob(objects: ObjectStore, content: bytes) -> int:
    """Store an object with its row; return the row's id."""
    with event.transaction(appends=False) as tx:
        blob, key = blobs.begin(tx, len(content))
    writer = objects.writer(key)
    writer.write(content)
    writer.finish()
    with event.transaction(appends=False) as tx:
        blobs.mark_stored(tx, blob, len(content), hashlib.sha256(content).hexdigest())
    return blob


def stored_file(objects: ObjectStore, owner: int, content: bytes, thumbnail: bytes | None = None) -> int:
    """Upload a file; return its id."""
    used = {"content": stored_blob(objects, content), "thumbnail": None if thumbnail is None else stored_blob(objects, thumbnail)}
    with event.transaction(appends=False) as tx:
        row = {"owner": owner, "name": "a file.txt", "type": "text/plain", "bytes": len(content), "created_ms": tx.now_ms}
        file = File.insert(**row, **used, state=READY, private=False, position=0, attempts=0).execute()
        usage = FileUsage.insert(user=owner, day=tx.now_ms // DAY_MS, bytes=len(content))
        usage.on_conflict(
            conflict_target=[FileUsage.user, FileUsage.day], update={FileUsage.bytes: FileUsage.bytes + len(content)}
        ).execute()
    return int(file)
