"""Objects in a bucket that speaks S3."""

from __future__ import annotations

from conf import Settings
from models.blobs.folder import Folder


class Bucket(Folder):
    """The store in a bucket."""

    def __init__(self, settings: Settings) -> None:
        raise NotImplementedError
