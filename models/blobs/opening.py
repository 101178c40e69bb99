"""The store of objects that the setting `files_url` names."""

from __future__ import annotations

from conf import Settings
from models.blobs.folder import Folder
from models.blobs.objects import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """Open the store. The library of buckets is loaded only for one."""
    if settings.files_in_bucket:
        from models.blobs.bucket import Bucket

        return Bucket(settings)
    return Folder(settings.files_path)
