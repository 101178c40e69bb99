"""Moving the objects of files from a folder to a bucket, to another folder, or back. Their names stay, so no row changes.

Each object is copied unless the target has it, so an interrupted move continues. The names are listed in a file of the data folder
before: what was copied, and removed from the store before the move was finished, is then removed from the target, and nothing
else is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from conf import Settings
from models.blobs.blob import STORED, Blob
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.store.data_dir_lock import objects_stay
from models.store.database import fetch_rows
from models.store.files import fsync
from models.transfer import object_copies
from models.transfer.object_copies import CopiedObjects, ObjectRow

Progress = Callable[[int, int], None]


class MoveError(Exception):
    """The move can't begin. The text says what to do; nothing was changed."""


class Moved(NamedTuple):
    """The result of a move: what was copied now, what the target has in all, and how many removed objects it has lost."""

    now: CopiedObjects
    objects: int
    bytes: int
    missing: int
    removed: int


def move(settings: Settings, url: str, progress: Progress | None, *, is_last: bool) -> Moved:
    """Copy what the target that `url` names lacks. The last move is one during which nothing else uses the store.

    Raises MoveError, and OSError, FullError or StoreDownError, after which the same move continues.
    """
    source, target = open_store(settings), open_store(settings.model_copy(update={"files_url": url}))
    journal = Journal(settings.data_dir / f"moving-{hashlib.sha256(url.encode()).hexdigest()[:12]}")
    with objects_stay(settings.data_dir):
        objects, known = _rows()
        there = dict(target.sizes())
        if foreign := there.keys() - known - journal.keys():
            raise MoveError(f"there are {len(foreign)} other objects already, such as {min(foreign)}: name an empty place")
        missing = [each for each in objects if there.get(each.key) != each.bytes]
        journal.add([each.key for each in missing])
        now = object_copies.copy(missing, source, target, progress, verify=True, compares=False)
        removed = _finish(target, journal, {each.key for each in objects}) if is_last else 0
        there = dict(target.sizes())
    arrived = [each.bytes for each in objects if there.get(each.key) == each.bytes]
    return Moved(now, len(arrived), sum(arrived), len(objects) - len(arrived), removed)


def _rows() -> tuple[list[ObjectRow], set[str]]:
    """The stored objects, and the keys of all that have a row."""
    found = fetch_rows(Blob.select(Blob.key, Blob.bytes, Blob.sha256, Blob.state).order_by(Blob.key))
    return [ObjectRow(*row) for *row, state in found if state == STORED], {key for key, *_ in found}


def _finish(target: ObjectStore, journal: Journal, stored: set[str]) -> int:
    """Remove objects from the target that were removed from the store after they were copied."""
    gone = sorted(journal.keys() - stored)
    if gone:  # else the target may be a folder that is not there yet
        target.remove(gone)
    journal.remove()
    return len(gone)


class Journal:
    """The keys of the objects that were copied, one a line, in a file that is there until the move is finished."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self) -> set[str]:
        """The keys of all moves to this target. A line that a crash has cut off names an object that was not copied."""
        return set(self._path.read_text().split()) if self._path.exists() else set()

    def add(self, keys: Sequence[str]) -> None:
        """Write keys; return when they are on disk."""
        if not keys:
            return
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.write("\n" + "\n".join(keys) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fsync(self._path.parent)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self._path.unlink(missing_ok=True)
