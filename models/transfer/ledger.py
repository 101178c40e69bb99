"""The ledger of deletions: a file beside the database and its backups, from which a restored store deletes again.

A line is one deletion: the user's id, when the account was made, and what became of the texts; no names. The account's time tells
it from another one that got the same id after an older backup was restored. A line is on disk before the call is answered,
and before the deletion empties anything. Hosts that share a database and not the file each have the lines of their own processes,
and with each start of one all others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from models.accounts import deletion
from models.accounts.deletion import TEXTS, Deletion, DeletionProgress
from models.identity.user import User
from models.log import event
from models.store.database import chunks, fetch_rows
from models.store.files import fsync

MAX_IDS_PER_QUERY = 200


class DeletionEntry(msgspec.Struct, frozen=True):
    """A line of the ledger. Times are in Unix ms."""

    user: int
    created_ms: int
    texts: str
    deleted_ms: int


def append(path: Path, progress: DeletionProgress) -> None:
    """Write the line of a deletion, unless it is there. Raises OSError."""
    texts = "erase" if progress.erases else "keep"
    entry = DeletionEntry(progress.user, progress.user_created_ms, texts, progress.created_ms)
    if entry not in read(path):
        _write(path, [entry])


def _write(path: Path, entries: Sequence[DeletionEntry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    is_new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
        ends_line = not file.seek(0, os.SEEK_END) or _last_byte(file.fileno()) == b"\n"
        lines = [msgspec.json.encode(entry) + b"\n" for entry in entries]
        file.write((b"" if ends_line else b"\n") + b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        fsync(path.parent)


def append_job(path: Path, job: int) -> None:
    """Write the line of a deletion that was just requested. One that is done has its line. Raises OSError."""
    progress = deletion.find_unfinished(job)
    if progress is not None:
        append(path, progress)


def missing(path: Path) -> list[DeletionEntry]:
    """The store's deletions that have no line, oldest first. Raises OSError."""
    there = {(entry.user, entry.created_ms, entry.texts) for entry in read(path)}
    columns = (Deletion.user, User.created_ms, Deletion.texts, Deletion.created_ms)
    stored = fetch_rows(Deletion.select(*columns).join(User).order_by(Deletion.id))
    return [DeletionEntry(*row) for row in stored if row[:3] not in there]


def complete(path: Path) -> None:
    """Write the lines that are missing. Raises OSError."""
    if entries := missing(path):
        _write(path, entries)


def _last_byte(descriptor: int) -> bytes:
    return os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1)


def read(path: Path) -> list[DeletionEntry]:
    """The ledger's lines. One that a crash has cut off is left out: its deletion writes it again. Raises OSError."""
    entries = []
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=DeletionEntry)
        except msgspec.DecodeError:
            continue
        if entry.texts in TEXTS:
            entries.append(entry)
    return entries


def apply_again(path: Path) -> int:
    """Request the ledger's deletions that the store does not have, since it was restored; returns their number. The schema must be
    up to date."""
    done = 0
    for part in chunks(dict.fromkeys(read(path)), MAX_IDS_PER_QUERY):
        undone = _undone(part)
        for entry in undone:
            with event.transaction() as tx:
                deletion.request(tx, entry.user, entry.texts, None)
        done += len(undone)
    return done


def _undone(entries: list[DeletionEntry]) -> list[DeletionEntry]:
    """Those whose account is there, and has no deletion that does as much."""
    ids = [entry.user for entry in entries]
    there = set(fetch_rows(User.select(User.id, User.created_ms).where(User.id.in_(ids))))
    requested = set(fetch_rows(Deletion.select(Deletion.user, Deletion.texts).where(Deletion.user.in_(ids))))
    return [
        entry
        for entry in entries
        if (entry.user, entry.created_ms) in there and not requested & {(entry.user, entry.texts), (entry.user, deletion.ERASE)}
    ]
