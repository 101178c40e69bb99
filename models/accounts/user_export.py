"""The export of a user: everything of theirs, as a zip of JSON files and of their files.

All JSON is of one moment: it is read in one snapshot, page by page, into a temporary file in the data folder, and sent from there.
So the snapshot, which keeps the WAL from being used anew, lasts as long as the reading, some seconds for a million messages, and
not as long as a slow client; and memory has one page at a time. One that takes longer than MAX_SNAPSHOT_S is given up.

Archive files are read after the snapshot, up to the lengths that they had in it, the newest first. Those for which MAX_ARCHIVE_S
does not suffice are named in `left_out.json`. Files are read while
the zip is sent (models/accounts/export_stream.py). docs/tables.md says of each table which file has its rows, or why none does.
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from models.accounts.export_stream import MAX_FILES, UserExport
from models.blobs.objects import ObjectStore
from models.identity import user as users
from models.notices import notification
from models.records import activity, archive, archived_tables, audit, records
from models.records.records import RecordFilter, RecordType
from models.store.clock import rfc3339
from models.store.database import chunks, decode_text, placeholders, rows, snapshot
from models.store.errors import RefusedError

ROWS_PER_PAGE = 1_000
IDS_PER_PAGE = 100_000
MAX_SNAPSHOT_S = 60.0
MAX_ARCHIVE_S = 20.0


class ExportTooLongError(RefusedError):
    """The export was given up, since it would have kept old states of the store for too long."""

    slug = "unavailable"


class _Part(NamedTuple):
    """A file of the export: a query for the columns after a row's key, whose first column continues a page.

    With `ids`, no index sorts the rows, and each page would read all: many ids are read at once, and the rows by them. `derive`
    makes the rows, without keys, of those that the query finds.
    """

    name: str
    columns: tuple[str, ...]
    sql: str  # parameters: the user, the key to continue after, the number of rows; the key is the first column
    start: Any = 0
    ids: str = ""  # the same parameters; those of `sql` are ids then, in place of {}
    derive: Callable[[list[Any]], list[Any]] | None = None


def _owned(name: str, table: str, columns: tuple[str, ...], owner: str = "user_id", key: str = "id", start: Any = 0) -> _Part:
    """A table's rows of the user, by a column that is unique among these."""
    listed = ", ".join((key, *columns))
    return _Part(name, columns, f"SELECT {listed} FROM {table} WHERE {owner}=? AND {key}>? ORDER BY {key} LIMIT ?", start)


MESSAGE = ("id", "conversation_id", "body", "priority", "reply_to", "client_id", "created_ms", "edited_ms", "deleted_ms")
PARTS = (
    _owned("sessions", "tokens", ("id", "label", "address", "created_ms", "used_ms")),
    _owned("preferences", "preferences", ("type", "in_app", "email", "push"), key="type", start=""),
    _owned("push_subscriptions", "push_subscriptions", ("id", "endpoint", "label", "created_ms", "updated_ms")),
    _Part(
        "conversations",
        ("id", "kind", "title", "role", "read_message", "level", "level_until_ms", "created_ms"),
        "SELECT m.id, c.id, c.kind, c.title, m.role, m.read_message, m.level, m.level_until_ms, c.created_ms FROM memberships m "
        "JOIN conversations c ON c.id=m.conversation_id WHERE m.user_id=? AND m.id>? ORDER BY m.id LIMIT ?",
    ),
    _Part(
        "messages",
        MESSAGE,
        f"SELECT id, {', '.join(MESSAGE)} FROM messages WHERE id IN ({{}}) ORDER BY id",
        ids="SELECT id FROM messages WHERE sender_id=? AND id>? ORDER BY id LIMIT ?",
    ),
    _owned("reactions", "reactions", ("message_id", "emoji"), key="message_id || ' ' || emoji", start=""),
    _owned("posts", "posts", ("id", "group_id", "body", "created_ms", "deleted_ms"), owner="author_id"),
    _owned(
        "files",
        "files",
        ("id", "name", "type", "bytes", "width", "height", "state", "message", "post", "created_ms"),
        owner="owner_id",
    ),
    _owned("comments", "comments", ("id", "post_id", "body", "reply_to", "created_ms", "deleted_ms"), owner="author_id"),
    _owned("likes", "likes", ("post_id",), key="post_id"),
    _owned("bookmarks", "bookmarks", ("post_id",), key="post_id"),
    _Part(
        "groups",
        ("id", "name", "owner_id"),
        "SELECT m.id, g.id, g.name, g.owner_id FROM group_members m JOIN community_groups g ON g.id=m.group_id "
        "WHERE m.user_id=? AND m.id>? ORDER BY m.id LIMIT ?",
    ),
    _Part(
        "notifications",
        ("id", "type", "title", "body", "data", "count", "created_ms", "read_ms", "url"),
        f"SELECT {', '.join(column.column_name for column in (*notification.SHOWN, *notification.INTERVAL))} FROM notifications "
        "WHERE user_id=? AND id>? ORDER BY id LIMIT ?",
        derive=lambda found: [(id_, *values) for id_, _user, *values in notification.with_counts(found)],
    ),
    _owned("blocks", "blocks", ("blocked_id", "from_event", "to_event", "since_ms")),
    _owned("reports", "reports", ("id", "kind", "subject", "reason", "created_ms", "closed_ms", "action"), owner="reporter_id"),
    _owned("topics", "topic_members", ("topic", "from_event", "to_event")),
    _owned("announcements", "fanouts", ("id", "type", "title", "body", "data", "created_ms"), owner="by_user"),
    _owned("mails", "emails", ("id", "kind", "address", "state", "created_ms", "ended_ms"), owner="receiver"),
    _owned("waiting_mails", "waiting_mail", ("notification_id", "since_ms", "due_ms"), key="notification_id"),
    _owned("digests", "digests", ("period", "at_ms"), key="period", start=""),
    _owned(
        "invitations_made", "invitations", ("id", "uses", "group_id", "role", "created_ms", "expires_ms"), owner="created_by_id"
    ),
    _owned("invitation_accepted", "invitation_uses", ("invitation_id",), key="invitation_id"),
    _owned("visits", "visits", ("id", "came_ms", "went_ms")),
)
RECORDS = {"activity": activity.RECORD_TYPE, "admin_calls": audit.RECORD_TYPE}


def write(user: int, folder: Path, archived: Path, objects: ObjectStore) -> UserExport:
    """Write all but the user's files to a temporary file without a name; return the export, to be read and closed. `archived` is
    the folder of archived records, `objects` has the files.

    Raises NotFoundError, OSError and ExportTooLongError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    export = UserExport(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - the caller closes it
    try:
        with snapshot():
            for kind in RECORDS.values():
                archived_tables.lock(kind)
            sizes = _archive_files(archived)
            _write_tables(export.zip, user)
            files = _newest_files(user)
        left_out = _write_archived(export.zip, user, archived, sizes)
        if files[MAX_FILES:]:
            left_out.append(f"files with ids up to {files[MAX_FILES]}")
        export.begin_reading(objects, files[:MAX_FILES], left_out)
    except BaseException:
        export.close()
        raise
    return export


def _newest_files(user: int) -> list[int]:
    """The user's newest files, newest first, and the one before them."""
    newest = rows("SELECT id FROM files WHERE owner_id=? ORDER BY id DESC LIMIT ?", (user, MAX_FILES + 1))
    return [number for (number,) in newest]


def _write_tables(target: zipfile.ZipFile, user: int) -> None:
    deadline = time.monotonic() + MAX_SNAPSHOT_S
    with target.open("account.json", "w") as part:
        part.write(msgspec.json.format(msgspec.json.encode(_account(user))))
    for described in PARTS:
        _write_list(target, described.name, _in_time(_pages(user, described), deadline))
    for name, kind in RECORDS.items():
        _write_list(target, name, _in_time(_record_pages(user, kind), deadline))


def _account(user: int) -> dict[str, Any]:
    account = {**msgspec.to_builtins(users.view(user)), **users.me(user)}
    ((metadata, created_ms),) = rows("SELECT metadata, created_ms FROM users WHERE id=?", (user,))
    return {
        **account,
        "metadata": None if metadata is None else msgspec.json.decode(metadata),
        "created_at": rfc3339(created_ms),
        "exported_at": rfc3339(int(time.time() * 1000)),
    }


def _write_list(target: zipfile.ZipFile, name: str, pages: Iterable[list[bytes]]) -> None:
    """Write a file with a JSON array, an item a line."""
    before = b"[\n"
    with target.open(f"{name}.json", "w", force_zip64=True) as part:
        for page in pages:
            part.write(before + b",\n".join(page))
            before = b",\n"
        part.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _in_time(pages: Iterator[list[bytes]], deadline: float) -> Iterator[list[bytes]]:
    """Yield pages. Raises ExportTooLongError after a time."""
    for page in pages:
        yield page
        if time.monotonic() > deadline:
            raise ExportTooLongError("the export takes too long; an operator can read the tables directly")


def _pages(user: int, part: _Part) -> Iterator[list[bytes]]:
    """Yield the encoded items of a part, a page at a time."""
    if part.ids:
        ids = (number for page in _read_pages(part.ids, user, part.start, IDS_PER_PAGE) for (number,) in page)
        pages: Iterable[list[Any]] = (rows(part.sql.format(placeholders(len(some))), some) for some in chunks(ids, ROWS_PER_PAGE))
    else:
        pages = _read_pages(part.sql, user, part.start, ROWS_PER_PAGE)
    for page in pages:
        values = [row[1:] for row in page] if part.derive is None else part.derive(page)
        yield [msgspec.json.encode(_item(part.columns, row)) for row in values]


def _read_pages(sql: str, user: int, after: Any, size: int) -> Iterator[list[Any]]:
    """Yield the pages of a query, whose first column continues it."""
    while page := rows(sql, (user, after, size)):
        yield page
        after = page[-1][0]


def _item(columns: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    """A row as JSON says it: times as text, and the ids of others by their names."""
    item: dict[str, Any] = {}
    for column, value in zip(columns, values, strict=True):
        if column.endswith("_ms"):
            item["at" if column == "at_ms" else f"{column.removesuffix('_ms')}_at"] = None if value is None else rfc3339(value)
        elif column in ("data", "metadata"):
            item[column] = msgspec.json.decode(value)
        else:
            item[column.removesuffix("_id")] = decode_text(value) if column == "body" else value
    return item


def _record_pages(user: int, kind: RecordType) -> Iterator[list[bytes]]:
    """Yield the encoded records of the user in tables, oldest first, a page at a time."""
    for table in (*archived_tables.list_tables(kind), kind.table):
        stored_there, after = kind._replace(table=table), (0, 0)
        while page := records.list_oldest(stored_there, RecordFilter(user=user), after, ROWS_PER_PAGE):
            yield [_record(record.view) for record in page]
            after = page[-1].position


def _archive_files(folder: Path) -> dict[str, dict[str, int]]:
    """type of records -> file -> length, newest first."""
    number = archive.read_folder_id(folder)
    found = {kind.name: archive.file_sizes(number, kind.name) for kind in RECORDS.values()}
    return {kind: dict(sorted(sizes.items(), reverse=True)) for kind, sizes in found.items()}


def _write_archived(target: zipfile.ZipFile, user: int, folder: Path, files: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Write the user's records of archive files; return those that there was no time for."""
    deadline, left_out = time.monotonic() + MAX_ARCHIVE_S, list[str]()
    for name, kind in RECORDS.items():
        _write_list(target, f"archived_{name}", _archived_pages(user, folder, files[kind.name], deadline, left_out))
    return left_out


def _archived_pages(
    user: int, folder: Path, sizes: Mapping[str, int], deadline: float, left_out: list[str]
) -> Iterator[list[bytes]]:
    """Yield the encoded records of the user in files; add those files to `left_out` that are not read to their end in time."""
    mark = b'"user":%d,' % user
    for name, size in sizes.items():
        for block in archive.read_blocks(folder / name, 0, size):
            if time.monotonic() > deadline:
                left_out.append(name)
                break
            if mark in block:  # a large archive is read without a line of it being decoded
                found = [msgspec.json.decode(line) for line in block.split(b"\n") if mark in line]
                if page := [_record(record) for record in found if record["user"] == user]:
                    yield page


def _record(record: Mapping[str, Any]) -> bytes:
    """A record as its user may see it. Paths and bodies of admins' calls name other people, and of calls that an admin did about
    or for the user the address is the admin's."""
    if "address" not in record:
        return msgspec.json.encode({name: record[name] for name in ("id", "action", "description", "metadata", "site", "at")})
    call = {name: record[name] for name in ("id", "action", "outcome", "address", "at")}
    is_own = record["triggered_by"] in (None, record["user"])
    return msgspec.json.encode(call | {"by_admin": not is_own} | ({} if is_own else {"address": None}))
