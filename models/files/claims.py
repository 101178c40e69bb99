"""Claiming: the transaction of a send gives its sender's files to the message, or to the post.

A file that is not complete has no row here, and one that is claimed is claimed no more: no message points at half a file, and no
file belongs to two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from models.files.file import PENDING, VIEW_COLUMNS, FileView, view_of
from models.log.event import Transaction
from models.store.database import ID_MAX, execute, placeholders, rows, values_cte
from models.store.errors import InvalidError

MAX_FILES = 10  # of a message or post
FIELD = "files"
RULE = f"must be 1 to {MAX_FILES} different ids of files that you have uploaded and not sent yet"


class Unclaimed(NamedTuple):
    """A file that its owner may send."""

    owner: int
    view: FileView


def are_valid(files: Sequence[int]) -> bool:
    """Whether these may be the files of a draft, found without reading the store."""
    return 1 <= len(files) <= MAX_FILES and len(set(files)) == len(files) and all(0 < number < ID_MAX for number in files)


def find(ids: Collection[int]) -> dict[int, Unclaimed]:
    """Those of the files that nobody has sent yet. Raw: part of a send."""
    if not ids:
        return {}
    sql = f"SELECT owner_id, {VIEW_COLUMNS} FROM files WHERE id IN ({placeholders(len(ids))}) AND message IS NULL AND post IS NULL"
    return {row[0]: Unclaimed(owner, view_of(row)) for owner, *row in rows(sql, list(ids))}


def claim(unclaimed: dict[int, Unclaimed], owner: int, files: Sequence[int]) -> list[FileView] | None:
    """The views of a sender's files, which are then no more among the unclaimed. None, if one of them is not."""
    if not files:
        return []
    if not all(number in unclaimed and unclaimed[number].owner == owner for number in files):
        return None
    return [unclaimed.pop(number).view for number in files]


def claim_valid(owner: int, files: Sequence[int]) -> list[FileView]:
    """The views of the files of one sender, which `write` is to claim. Raises InvalidError."""
    claimed = claim(find(files), owner, files) if are_valid(files) else None
    if claimed is None:
        raise InvalidError((FIELD, RULE))
    return claimed


def write(tx: Transaction, column: str, table: str, claimed: Mapping[int, Sequence[FileView]]) -> None:
    """Write what messages, or posts, have claimed. `column` is `message` or `post`, `table` that of the rows that have them.

    From now on `jobs/pictures` looks at those that are pending.
    """
    values = [
        (file.id, owner, position, tx.now_ms if file.state == PENDING else 0)
        for owner, files in claimed.items()
        for position, file in enumerate(files)
    ]
    if not values:
        return
    execute(
        values_cte("id, owner, position, next_ms", len(values))
        + f"UPDATE files SET {column}=input.owner, position=input.position, next_ms=nullif(input.next_ms,0) FROM input "
        "WHERE files.id=input.id",
        [value for row in values for value in row],
    )
    execute(
        values_cte("id, files", len(claimed)) + f"UPDATE {table} SET files=input.files FROM input WHERE {table}.id=input.id",
        [value for owner, files in claimed.items() for value in (owner, len(files))],
    )
