"""The export of a user: everything of theirs, as a zip of JSON files.

All of it is of one moment: it is read in one snapshot, page by page, into a temporary file in the data folder, and sent from there.
So the snapshot, which keeps the WAL from being used anew, lasts as long as the reading, some seconds for a million messages, and
not as long as a slow client; and memory has one page at a time. One that takes longer than MAX_SNAPSHOT_S is given up.
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from models.identity import user as users
from models.store.clock import rfc3339
from models.store.database import decode_text, rows, snapshot
from models.store.errors import RefusedError

ROWS_PER_PAGE = 1_000
MAX_SNAPSHOT_S = 60.0
COMPRESSION_LEVEL = 1  # the snapshot waits for it


class ExportTooLongError(RefusedError):
    """The export was given up, since it would have kept old states of the store for too long."""

    slug = "unavailable"


class _Part(NamedTuple):
    """A file of the export: a query for the columns after a row's key, whose first column continues a page."""

    name: str
    columns: tuple[str, ...]
    sql: str  # parameters: the user, the key to continue after, the number of rows; the key is the first column
    start: Any = 0


def _owned(name: str, table: str, columns: tuple[str, ...], owner: str = "user_id", key: str = "id", start: Any = 0) -> _Part:
    """A table's rows of the user, by a column that is unique among these."""
    listed = ", ".join((key, *columns))
    return _Part(name, columns, f"SELECT {listed} FROM {table} WHERE {owner}=? AND {key}>? ORDER BY {key} LIMIT ?", start)


PARTS = (
    _owned("sessions", "tokens", ("id", "label", "address", "created_ms", "used_ms")),
    _owned("preferences", "preferences", ("type", "in_app", "email"), key="type", start=""),
    _Part(
        "conversations",
        ("id", "kind", "title", "role", "read_message", "created_ms"),
        "SELECT m.id, c.id, c.kind, c.title, m.role, m.read_message, c.created_ms FROM memberships m "
        "JOIN conversations c ON c.id=m.conversation_id WHERE m.user_id=? AND m.id>? ORDER BY m.id LIMIT ?",
    ),
    _owned(
        "messages",
        "messages",
        ("id", "conversation_id", "body", "priority", "reply_to", "client_id", "created_ms", "edited_ms", "deleted_ms"),
        owner="sender_id",
    ),
    _owned("reactions", "reactions", ("message_id", "emoji"), key="message_id || ' ' || emoji", start=""),
    _owned("posts", "posts", ("id", "group_id", "body", "created_ms", "deleted_ms"), owner="author_id"),
    _owned("comments", "comments", ("id", "post_id", "body", "reply_to", "created_ms", "deleted_ms"), owner="author_id"),
    _owned("likes", "likes", ("post_id",), key="post_id"),
    _owned("bookmarks", "bookmarks", ("post_id",), key="post_id"),
    _Part(
        "groups",
        ("id", "name", "owner_id"),
        "SELECT m.id, g.id, g.name, g.owner_id FROM group_members m JOIN community_groups g ON g.id=m.group_id "
        "WHERE m.user_id=? AND m.id>? ORDER BY m.id LIMIT ?",
    ),
    _owned("notifications", "notifications", ("id", "type", "title", "body", "data", "count", "created_ms", "read_ms")),
    _owned("mails", "emails", ("id", "kind", "address", "state", "created_ms", "ended_ms"), owner="receiver"),
    _owned("activity", "activities", ("id", "action", "description", "metadata", "site", "at_ms")),
    _owned("visits", "visits", ("id", "came_ms", "went_ms")),
)


def write(user: int, folder: Path) -> IO[bytes]:
    """Write the export to a temporary file without a name and return it, to be read from its beginning and closed.

    Raises NotFoundError, OSError and ExportTooLongError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    try:
        deadline = time.monotonic() + MAX_SNAPSHOT_S
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive, snapshot():
            with archive.open("account.json", "w") as part:
                part.write(msgspec.json.format(msgspec.json.encode(_account(user))))
            for described in PARTS:
                with archive.open(f"{described.name}.json", "w", force_zip64=True) as part:
                    _write_list(part.write, _pages(user, described, deadline))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _account(user: int) -> dict[str, Any]:
    account = {**msgspec.to_builtins(users.view(user)), **users.me(user)}
    ((metadata, created_ms),) = rows("SELECT metadata, created_ms FROM users WHERE id=?", (user,))
    return {
        **account,
        "metadata": None if metadata is None else msgspec.json.decode(metadata),
        "created_at": rfc3339(created_ms),
        "exported_at": rfc3339(int(time.time() * 1000)),
    }


def _write_list(write_bytes: Callable[[bytes], Any], pages: Iterator[list[bytes]]) -> None:
    """Write a JSON array, an item a line."""
    before = b"[\n"
    for page in pages:
        write_bytes(before + b",\n".join(page))
        before = b",\n"
    write_bytes(b"[]\n" if before == b"[\n" else b"\n]\n")


def _pages(user: int, part: _Part, deadline: float) -> Iterator[list[bytes]]:
    """Yield the encoded items of a part, a page at a time. Raises ExportTooLongError."""
    after = part.start
    while True:
        if time.monotonic() > deadline:
            raise ExportTooLongError("the export takes too long; an operator can read the tables directly")
        found = rows(part.sql, (user, after, ROWS_PER_PAGE))
        if found:
            yield [msgspec.json.encode(_item(part.columns, values)) for _, *values in found]
        if len(found) < ROWS_PER_PAGE:
            return
        after = found[-1][0]


def _item(columns: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    """A row as JSON says it: times as text, and the ids of others by their names."""
    item: dict[str, Any] = {}
    for column, value in zip(columns, values, strict=True):
        if column.endswith("_ms"):
            item[f"{column.removesuffix('_ms')}_at"] = None if value is None else rfc3339(value)
        elif column in ("data", "metadata"):
            item[column] = msgspec.json.decode(value)
        else:
            item[column.removesuffix("_id")] = decode_text(value) if column == "body" else value
    return item
