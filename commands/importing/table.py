"""Reading a table of messages, such as that of a Django model, from CSV or JSON lines.

Columns are found by their names, or named by --column. A table has either a receiver, and each pair of people becomes a direct
conversation, or a conversation, and those who wrote in it become a group. People are external ids of the host's users.
"""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from commands.errors import CommandError
from commands.importing.collected import Collected
from commands.importing.json_lines import numbered
from models.history.lines import RawLine, Refused

FIELDS = {  # of a message, and the names of their columns, the likeliest first
    "key": ("key", "id", "pk", "uuid"),
    "sender": ("sender", "sender_id", "author", "author_id", "from_user", "from_user_id", "from_id", "from", "user", "user_id"),
    "receiver": ("receiver", "receiver_id", "recipient", "recipient_id", "to_user", "to_user_id", "to_id", "to"),
    "conversation": (
        *("conversation", "conversation_id", "room", "room_id", "chat", "chat_id", "channel", "channel_id"),
        *("thread", "thread_id"),
    ),
    "title": ("title", "room_name", "conversation_title", "channel_name"),
    "body": ("body", "text", "message", "content"),
    "at": ("at", "created_at", "created", "sent_at", "timestamp", "date", "time"),
    "edited_at": ("edited_at", "edited"),
    "reply_to": ("reply_to", "reply_to_id", "parent", "parent_id", "in_reply_to"),
    "read": ("read", "is_read", "seen", "read_at"),
}
REQUIRED = ("key", "sender", "body", "at")
USER_FIELDS = {
    "external_id": ("external_id", "id", "pk", "uuid"),
    "username": ("username", "login"),
    "display_name": ("display_name", "name", "full_name"),
    "first_name": ("first_name",),
    "last_name": ("last_name",),
    "email": ("email",),
}
FALSE = ("", "0", "f", "false", "no", "none", "null")
MAX_FIELD_BYTES = 1024 * 1024
SECONDS_END = 10**11  # a number below is a time in seconds, and above in milliseconds
Row = Mapping[str, Any]


class _Columns:
    """The columns of a table: by the names that are usual, or as they are named."""

    def __init__(self, usual: Mapping[str, Sequence[str]], named: Mapping[str, str], present: Sequence[str], path: Path) -> None:
        self._path = path
        for column in named.values():
            if column not in present:
                raise CommandError(f"{path} has no column {column!r}: there are {', '.join(present)}")
        guessed = {field: next((name for name in names if name in present), None) for field, names in usual.items()}
        self._columns = {**guessed, **named}

    def require(self, *fields: str) -> None:
        """Raise CommandError unless each of the fields has a column."""
        for field in fields:
            if not self.has(field):
                raise CommandError(f"{self._path} has no column for {field}: name it by --column {field}=COLUMN")

    def has(self, field: str) -> bool:
        """Return whether a field has a column."""
        return self._columns.get(field) is not None

    def text(self, row: Row, field: str) -> str:
        """Return a field of a row as text; empty if it has none."""
        column = self._columns.get(field)
        value = None if column is None else row.get(column)
        return "" if value is None else str(value)


def read(args: Namespace) -> Iterator[RawLine | Refused]:
    """Yield the lines of a table, and of one of users if there is one."""
    named = dict(_named(option) for option in args.column)
    with Collected.temporary() as collected:
        if args.users is not None:
            _add_users(collected, args.users)
        yield from _read(collected, args.file, named)


def _named(option: str) -> tuple[str, str]:
    field, _, column = option.partition("=")
    if field not in FIELDS or not column:
        raise CommandError(f"--column {option}: must be FIELD=COLUMN, and a field is one of {', '.join(FIELDS)}")
    return field, column


def _read(collected: Collected, path: Path, named: Mapping[str, str]) -> Iterator[RawLine | Refused]:
    columns: _Columns | None = None
    for place, row in rows(path):
        if columns is None:
            columns = _Columns(FIELDS, named, list(row), path)
            columns.require(*REQUIRED)
            if not columns.has("conversation"):
                columns.require("receiver")
        try:
            _add(collected, columns, row, place)
        except (ValueError, OverflowError) as error:
            yield Refused(place, "message.at", f"is no time: {error}")
    yield from collected.lines()


def _add(collected: Collected, columns: _Columns, row: Row, place: str) -> None:
    """Add a row. Raises ValueError for a time that is none."""
    sender, receiver = columns.text(row, "sender"), columns.text(row, "receiver")
    people = [person for person in (sender, receiver) if person]
    if columns.has("conversation"):
        conversation = columns.text(row, "conversation")
        collected.add_conversation(conversation, "group", people, columns.text(row, "title") or None)
    else:
        conversation = " ".join(sorted(people))
        collected.add_conversation(conversation, "direct", people)
    edited, reply_to = columns.text(row, "edited_at"), columns.text(row, "reply_to")
    is_unread = bool(receiver) and columns.has("read") and columns.text(row, "read").lower() in FALSE
    collected.add_message(
        conversation,
        columns.text(row, "key"),
        sender,
        columns.text(row, "body"),
        time_ms(columns.text(row, "at")),
        place,
        edited_ms=time_ms(edited) if edited else None,
        parent=reply_to or None,
        read_by=[sender] if is_unread else None,
    )


def _add_users(collected: Collected, path: Path) -> None:
    columns: _Columns | None = None
    for _, row in rows(path):
        columns = columns or _Columns(USER_FIELDS, {}, list(row), path)
        columns.require("external_id")
        names = " ".join(name for field in ("first_name", "last_name") if (name := columns.text(row, field)))
        shown = columns.text(row, "display_name") or names
        username, email = columns.text(row, "username"), columns.text(row, "email")
        collected.add_user(columns.text(row, "external_id"), username=username, display_name=shown, email=email)


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a file, each with its place: of CSV with a header, or of JSON lines, Django's with their fields."""
    yield from (_json_rows if path.suffix in (".jsonl", ".ndjson") else _csv_rows)(path)


def _csv_rows(path: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(MAX_FIELD_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            for number, row in enumerate(csv.DictReader(file), 1):
                yield f"row {number}", row
        except (csv.Error, UnicodeDecodeError) as error:
            raise CommandError(f"{path} can't be read as CSV in UTF-8: {error}") from None


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in numbered(path):
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CommandError(f"{path}, line {number}, is not a JSON object: {error}") from None
        fields = row.get("fields")
        yield f"line {number}", {"id": row.get("pk"), **fields} if isinstance(fields, dict) else row


def time_ms(text: str) -> int:
    """Convert a time to Unix milliseconds: RFC 3339, as databases print it (UTC without an offset), or a number of seconds or
    milliseconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text.strip())
        return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    return int(number * 1000 if abs(number) < SECONDS_END else number)
