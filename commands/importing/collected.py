"""The contents of another product's export, and the lines that it becomes.

Messages wait in a temporary file, since exports are not in the order of time, and histories are larger than memory.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from models.chat.drafts import MAX_BODY_CHARS
from models.history.lines import RawLine
from models.identity.external_id import PREFIX
from models.store.clock import rfc3339

UNREADABLE = (msgspec.MsgspecError, LookupError, TypeError, AttributeError, ArithmeticError, ValueError)
TABLE = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
CREATE TABLE messages (number INTEGER PRIMARY KEY, conversation TEXT, at INTEGER, key TEXT, parent TEXT, place TEXT, line BLOB);
"""
# By conversation, those with the latest activity last, as a list of conversations will have them.
ORDERED = """
SELECT conversation, line, place, parent, parent IS NOT NULL AND EXISTS
(SELECT 1 FROM messages p WHERE p.key=m.parent AND p.conversation=m.conversation AND p.at<=m.at) FROM messages m
JOIN (SELECT conversation AS name, max(at) AS last FROM messages GROUP BY conversation) ON name=conversation
ORDER BY last, conversation, at, number
"""


class Collected:
    """Users by external id, conversations by key with their members, and messages in a temporary file."""

    def __init__(self, folder: Path) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.conversations: dict[str, dict[str, Any]] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._file = sqlite3.connect(folder / "messages", isolation_level=None)
        self._file.executescript(TABLE)

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Self]:
        """Open one whose file is deleted at the end."""
        with tempfile.TemporaryDirectory(prefix="bellwire-import-") as folder:
            collected = cls(Path(folder))
            try:
                yield collected
            finally:
                collected._file.close()

    def add_user(self, external_id: str, **fields: Any) -> None:
        """Add a user, unless there is one of this id. Fields that are None or empty are left out."""
        self.users.setdefault(external_id, {"external_id": external_id, **{name: value for name, value in fields.items() if value}})

    def add_conversation(self, key: str, kind: str, members: list[str], title: str | None = None, at_ms: int = 0) -> None:
        """Add a conversation, unless there is one of this key, and its members by external id."""
        line: dict[str, Any] = {"key": key, "kind": kind}
        if title:
            line["title"] = title
        if at_ms:
            line["created_at"] = rfc3339(at_ms)
        self.conversations.setdefault(key, line)
        self._members.setdefault(key, {}).update(dict.fromkeys(members))

    def add_missing_users(self) -> None:
        """Add the members of conversations whom no list of users has, such as guests of another organisation."""
        for members in self._members.values():
            for member in members:
                self.add_user(member, display_name=member)

    def add_message(
        self,
        conversation: str,
        key: str,
        sender: str,
        body: str,
        at_ms: int,
        place: str,
        *,
        edited_ms: int | None = None,
        parent: str | None = None,
        read_by: list[str] | None = None,
    ) -> None:
        """Add a message; one that is too long becomes several. It answers its `parent` if that is there, too.

        Raises ValueError or OverflowError for a time that no calendar has.
        """
        for start in range(0, max(len(body), 1), MAX_BODY_CHARS):
            part = key if start == 0 else f"{key}#{start // MAX_BODY_CHARS + 1}"
            line = {"key": part, "conversation": conversation, "sender": PREFIX + sender, "at": rfc3339(at_ms)}
            line |= {"body": body[start : start + MAX_BODY_CHARS]}
            more: dict[str, Any] = {"edited_at": rfc3339(edited_ms)} if edited_ms is not None and edited_ms >= at_ms else {}
            more |= {} if read_by is None else {"read_by": [PREFIX + reader for reader in read_by]}
            values = (conversation, at_ms, part, parent, place, msgspec.json.encode(line | more))
            self._file.execute("INSERT INTO messages (conversation, at, key, parent, place, line) VALUES (?,?,?,?,?,?)", values)

    def lines(self) -> Iterator[RawLine]:
        """Yield users, and then each conversation with its messages, in the order of their times."""
        for name, user in self.users.items():
            yield RawLine(f"user {name}", msgspec.json.encode({"user": user}))
        self._file.execute("CREATE INDEX keys ON messages (key)")
        yielded = ""
        for conversation, line, place, parent, has_parent in self._file.execute(ORDERED):
            if conversation != yielded:
                yielded = conversation
                yield self._conversation(conversation)
            message = msgspec.json.decode(line)
            if has_parent:
                message["reply_to"] = parent
            yield RawLine(place, msgspec.json.encode({"message": message}))
        for key in list(self.conversations):  # those without messages
            yield self._conversation(key)

    def _conversation(self, key: str) -> RawLine:
        members = [PREFIX + member for member in self._members.pop(key, {})]
        line = {**self.conversations.pop(key, {"key": key}), "members": members}
        return RawLine(f"conversation {key}", msgspec.json.encode({"conversation": line}))
