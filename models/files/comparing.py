"""Comparing the table of objects with the store, and with the table of files, also while others write to all of them.

An object has its row from before its first byte until after its last. So of what differs at first, the store and then the row
are read once more: what is still so is a fault.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from models.blobs.blob import MAX_WRITING_MS, STORED, UNUSED, WRITING
from models.blobs.objects import ObjectStore
from models.store.database import rows, snapshot

KEY = re.compile(r"[0-9a-f]{32}")
LATE_MS = 15 * 60 * 1000  # a running worker removes objects within a minute

WITHOUT_FILE_SQL = """SELECT key FROM blobs WHERE state='stored'
AND NOT EXISTS (SELECT 1 FROM files WHERE content_id=blobs.id) AND NOT EXISTS (SELECT 1 FROM files WHERE thumbnail_id=blobs.id)"""
NOT_STORED_SQL = """SELECT id FROM files WHERE content_id IN (SELECT id FROM blobs WHERE state<>'stored')
OR thumbnail_id IN (SELECT id FROM blobs WHERE state<>'stored')"""
MISCOUNTED_SQL = """SELECT owner
FROM (SELECT {column} AS owner, count(*) AS number FROM files WHERE {column} IS NOT NULL GROUP BY {column}) AS counted
LEFT JOIN {table} ON {table}.id=owner WHERE coalesce({table}.files, 0)<>number
UNION ALL SELECT id FROM {table} WHERE files>0 AND NOT EXISTS (SELECT 1 FROM files WHERE {column}={table}.id)"""


class RowFaults(NamedTuple):
    """Rows that contradict each other: keys of objects without a file, and ids of files, messages and posts."""

    objects: list[str]
    files: list[int]
    messages: list[int]
    posts: list[int]


class Comparison(NamedTuple):
    """The objects that are to be there, and the keys of those that are missing, have other bytes, or have no row."""

    objects: int
    bytes: int
    missing: list[str]
    unlike: list[str]
    orphans: list[str]


class Unfinished(NamedTuple):
    """Objects that are being written, or wait to be removed; `late` are those that a worker was to remove before."""

    writing: int
    unused: int
    late: int


def compare(objects: ObjectStore, *, checksums: bool = False) -> Comparison:
    """Compare the store with its table: lengths, and with `checksums` each byte. Raises OSError and StoreDownError."""
    there = dict(objects.sizes())
    known: dict[str, tuple[str, int, str]] = {key: tuple(row) for key, *row in rows("SELECT key, state, bytes, sha256 FROM blobs")}
    stored = {key: (length, sha256) for key, (state, length, sha256) in known.items() if state == STORED}
    missing = [key for key in stored if key not in there and objects.length(key) is None and _is_stored(key)]
    unlike = [
        key
        for key, (length, sha256) in stored.items()
        if key in there and (there[key] != length or (checksums and _sha256(objects, key) != sha256)) and _is_stored(key)
    ]
    orphans = [key for key in there if key not in known and (not KEY.fullmatch(key) or objects.length(key) is not None)]
    return Comparison(len(stored), sum(length for length, _ in stored.values()), missing, unlike, sorted(orphans))


def _is_stored(key: str) -> bool:
    return bool(rows("SELECT 1 FROM blobs WHERE key=? AND state=?", (key, STORED)))


def _sha256(objects: ObjectStore, key: str) -> str | None:
    digest = hashlib.sha256()
    try:
        for block in objects.read(key):
            digest.update(block)
    except FileNotFoundError:  # it is missing, or was removed meanwhile
        return None
    return digest.hexdigest()


def row_faults() -> RowFaults:
    """Find rows that contradict each other, in one state of the store."""
    with snapshot():
        messages, posts = (
            [owner for (owner,) in rows(MISCOUNTED_SQL.format(column=column, table=table))]
            for column, table in (("message", "messages"), ("post", "posts"))
        )
        return RowFaults([key for (key,) in rows(WITHOUT_FILE_SQL)], [file for (file,) in rows(NOT_STORED_SQL)], messages, posts)


def unfinished(now_ms: int) -> Unfinished:
    """Count the objects that are neither stored nor gone."""
    found = rows("SELECT state, since_ms FROM blobs WHERE state<>?", (STORED,))
    limits = {WRITING: MAX_WRITING_MS + LATE_MS, UNUSED: LATE_MS}
    states = [state for state, _ in found]
    late = sum(now_ms - since_ms > limits[state] for state, since_ms in found)
    return Unfinished(states.count(WRITING), states.count(UNUSED), late)
