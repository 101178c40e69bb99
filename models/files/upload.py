"""Uploading: the two transactions around the bytes of a file.

Crash points. Before the first transaction: nothing is stored. Until the second: a row of the object says that it is being
written, and the sweeper removes both after an hour, with what was reserved of the account's day; on SQLite, the next gateway that
starts alone gives them up at once. After the second: the file is its owner's, and one that nobody sends is removed after a day. An
upload that is repeated because its answer was lost is another file.
"""

from __future__ import annotations

from typing import NamedTuple

from models.blobs import blob as blobs
from models.blobs.blob import ObjectName
from models.files import sweep, types, usage
from models.files.file import PENDING, READY, File, FileView, view_of
from models.log.event import Transaction
from models.store.database import execute, rows
from models.store.errors import RefusedError

MIB = 1024 * 1024
MAX_UNCLAIMED = 500  # files of an account that it has not sent; each goes after a day


class UploadLimits(NamedTuple):
    """The bounds of uploads in bytes: of a file, and of an account's day."""

    file: int
    day: int


class BegunUpload(NamedTuple):
    """An upload whose bytes may be written: at most those that are reserved."""

    object: ObjectName
    owner: int
    reserved: int
    began_ms: int


class ReceivedFile(NamedTuple):
    """A file whose bytes are durable."""

    name: str
    type: str
    bytes: int
    sha256: str
    private: bool


class DayFullError(RefusedError):
    """The account has uploaded as much as it may on a day, or has too many files that it has not sent."""

    slug = "quota-exceeded"

    def __init__(self, detail: str, left: int, retry_after_ms: int) -> None:
        super().__init__(detail)
        self.left = left
        self.retry_after_ms = retry_after_ms


def begin(tx: Transaction, owner: int, length: int | None, limits: UploadLimits) -> BegunUpload:
    """Begin an upload of this length; of the largest that is allowed, if it is not known. Raises DayFullError."""
    _check_unclaimed(tx, owner)
    left = usage.left(owner, tx.now_ms, limits.day)
    reserved = min(left, limits.file) if length is None else length
    if reserved > left or not left:
        raise day_full(left, tx.now_ms, limits)
    usage.reserve(tx, owner, reserved)
    return BegunUpload(blobs.begin(tx, reserved, owner), owner, reserved, tx.now_ms)


def complete(tx: Transaction, upload: BegunUpload, received: ReceivedFile) -> FileView:
    """Make the object a file of its owner. Raises NotFoundError if it took so long that the object was removed."""
    blobs.mark_stored(tx, upload.object.id, received.bytes, received.sha256)
    usage.refund(upload.owner, upload.began_ms, upload.reserved - received.bytes)
    state = PENDING if received.type in types.PICTURES else READY
    values: dict[str, object] = {"owner": upload.owner, "name": received.name, "type": received.type, "bytes": received.bytes}
    values |= {"state": state, "content": upload.object.id, "private": received.private, "position": 0, "attempts": 0}
    id_ = File.insert(**values, created_ms=tx.now_ms).execute()
    return view_of((id_, received.name, received.type, received.bytes, None, None, None, state, tx.now_ms))


def forget(tx: Transaction, upload: BegunUpload) -> None:
    """Remove the row of an upload that broke off, after its object was removed, and give back what it had reserved."""
    usage.refund_all([upload.object.id])
    execute("DELETE FROM blobs WHERE id=? AND state=?", (upload.object.id, blobs.WRITING))


def leave(tx: Transaction, upload: BegunUpload) -> None:
    """Leave an upload to the sweeper, unless it is complete: whether its second transaction was committed is not known."""
    sweep.leave(tx, [upload.object.id])


def day_full(left: int, now_ms: int, limits: UploadLimits) -> DayFullError:
    """The refusal of an upload that is larger than what the account may still upload today."""
    detail = f"at most {limits.day // MIB} MiB a day: {left} bytes are left today (UTC)"
    return DayFullError(detail, left, usage.DAY_MS - now_ms % usage.DAY_MS)


def _check_unclaimed(tx: Transaction, owner: int) -> None:
    unclaimed = f"SELECT created_ms FROM files WHERE owner_id=? AND message IS NULL AND post IS NULL LIMIT {MAX_UNCLAIMED}"
    count, oldest_ms = rows(f"SELECT count(*), min(created_ms) FROM ({unclaimed}) AS unclaimed", (owner,))[0]
    if count >= MAX_UNCLAIMED:
        retry_ms = max(1000, oldest_ms + usage.DAY_MS - tx.now_ms)
        raise DayFullError(f"at most {MAX_UNCLAIMED} files that are not sent: each goes after a day", 0, retry_ms)
