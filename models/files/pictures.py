"""Pictures that were sent and that no worker has looked at yet: leasing them, and recording what became of them.

A picture is leased, decoded and recorded. `next_ms` is when it is due, or while it has a `holder` the end of the lease: after a
kill of the worker another one has it then. An attempt counts when it begins, so a picture that kills workers ends as failed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import NamedTuple

from models.blobs import blob as blobs
from models.files.file import FAILED, READY, File
from models.log.event import Transaction
from models.store.database import affected_rows, execute, fetch_rows, placeholders, rows

LEASE_MS = 15_000
MAX_ATTEMPTS = 3
MAX_DELAY_MS = 60_000  # of a picture whose attempt has failed; also longer than a lease
COLUMNS = """f.id, f.owner_id, f.type, f.name, f.bytes, f.private, f.attempts, f.next_ms, b.id, b.key,
 coalesce((SELECT m.created_ms FROM messages m WHERE m.id=f.message), (SELECT p.created_ms FROM posts p WHERE p.id=f.post))"""


class DuePicture(NamedTuple):
    """A picture that is due, with the object that contains its bytes, and when it was sent. `holder` is set by `acquire`."""

    id: int
    owner: int
    type: str
    name: str
    bytes: int
    private: bool
    attempts: int
    next_ms: int
    content: int
    key: str
    sent_ms: int | None
    holder: str = ""


class Subject(NamedTuple):
    """The message or the post that has a file."""

    message: int | None
    post: int | None


def is_any_due(now_ms: int) -> bool:
    """Whether a picture is due. Raw: it runs several times a second."""
    return bool(rows("SELECT 1 FROM files WHERE next_ms IS NOT NULL AND next_ms<=? LIMIT 1", (now_ms,)))


def next_due(now_ms: int, after_owner: int, except_owners: Collection[int], max_attempts: int) -> DuePicture | None:
    """The longest due picture of the next owner, in the order of their ids, which begins again at the end: so each owner has
    a picture done before another one has two. Raw: it runs for each picture."""
    owners = sorted(except_owners)
    sql = (
        "SELECT f.id FROM files f WHERE f.next_ms IS NOT NULL AND f.owner_id>? AND f.next_ms<=? AND f.attempts<? "
        f"{f'AND f.owner_id NOT IN ({placeholders(len(owners))}) ' if owners else ''}ORDER BY f.owner_id, f.next_ms LIMIT 1"
    )
    ids = rows(sql, (after_owner, now_ms, max_attempts, *owners)) or rows(sql, (0, now_ms, max_attempts, *owners))
    if not ids:
        return None
    found = rows(f"SELECT {COLUMNS} FROM files f JOIN blobs b ON b.id=f.content_id WHERE f.id=?", ids[0])
    return DuePicture(*found[0])._replace(private=bool(found[0][5])) if found else None


def acquire(tx: Transaction, due: DuePicture) -> DuePicture | None:
    """Acquire the right to decode a picture until the lease ends; None if another worker has it, or if it was removed."""
    holder = secrets.token_hex(8)
    sql = "UPDATE files SET next_ms=?, holder=?, attempts=attempts+1 WHERE id=? AND next_ms=?"
    if not affected_rows(sql, (tx.now_ms + LEASE_MS, holder, due.id, due.next_ms)):
        return None
    return due._replace(holder=holder, attempts=due.attempts + 1)


def renew_leases(tx: Transaction, leased: Sequence[DuePicture]) -> None:
    """Extend the leases of pictures that are being decoded."""
    for picture in leased:
        _own(picture, next_ms=tx.now_ms + LEASE_MS)


def defer(tx: Transaction, picture: DuePicture, delay_ms: int, *, counts: bool = True) -> None:
    """Schedule another attempt. The one that ended does not count if it says nothing about the picture."""
    attempts = picture.attempts if counts else picture.attempts - 1
    _own(picture, next_ms=tx.now_ms + min(delay_ms, MAX_DELAY_MS), holder=None, attempts=attempts)


def fail(tx: Transaction, picture: DuePicture) -> Subject | None:
    """Record that a picture is broken or hostile; returns what has it, or None if it was removed meanwhile."""
    return _subject(picture) if _own(picture, state=FAILED, next_ms=None, holder=None) else None


def finish(tx: Transaction, picture: DuePicture, width: int | None, height: int | None, thumbnail: int | None) -> Subject | None:
    """Record a picture's size and thumbnail, if it could be decoded; returns what has it, or None if it was removed meanwhile."""
    changes = {"width": width, "height": height, "thumbnail": thumbnail, "state": READY}
    return _subject(picture) if _own(picture, **changes, next_ms=None, holder=None) else None


def replace_content(tx: Transaction, picture: DuePicture, content: int, length: int, type_: str, name: str) -> None:
    """Put a clean copy in the place of a picture's bytes."""
    changes = {"content": content, "bytes": length, "type": type_, "name": name, "private": False}
    File.update(**changes).where(File.id == picture.id).execute()
    blobs.discard(tx, [picture.content])


def _own(picture: DuePicture, **changes: object) -> bool:
    """Change a picture if this attempt still has its lease."""
    return bool(File.update(**changes).where(File.id == picture.id, File.holder == picture.holder).execute())


def _subject(picture: DuePicture) -> Subject:
    ((message, post),) = fetch_rows(File.select(File.message, File.post).where(File.id == picture.id))
    return Subject(message, post)


def has_future(now_ms: int) -> bool:
    """Whether a picture is planned further ahead than it may be: that was planned while the clock was ahead."""
    return bool(rows("SELECT 1 FROM files WHERE next_ms IS NOT NULL AND next_ms>? LIMIT 1", (now_ms + MAX_DELAY_MS,)))


def make_future_due(tx: Transaction) -> None:
    """Make these pictures due now."""
    execute("UPDATE files SET next_ms=? WHERE next_ms IS NOT NULL AND next_ms>?", (tx.now_ms, tx.now_ms + MAX_DELAY_MS))


def count_pending() -> int:
    """How many pictures of messages and posts are not done."""
    return int(rows("SELECT count(*) FROM files WHERE next_ms IS NOT NULL")[0][0])
