"""Replacing the former names of a deleted user in texts about them, pure functions.

Events, records and notifications say names: "Ana liked your post". What other people wrote themselves stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

MIN_CHARS_WITHIN_TEXT = 3  # a shorter name is replaced only where it is the whole text
ACTIVITY_REPORTED = "user.activity"
OTHERS_TEXTS = ("message.", "post.", "comment.")  # beginnings of the types of events whose `body` somebody wrote


class FormerNames:
    """The names of a deleted user, and USER as it is now."""

    def __init__(self, user: int, names: Iterable[tuple[str, str]], view: dict[str, Any], *, erases: bool) -> None:
        self._user = user
        self._view = view
        self._erases = erases
        self._is_titled = f'"id":{user},"username":"'  # how events begin USER
        self._by_name = {name.casefold(): now for name, now in names}
        written = {quote(name, safe=""): "" for name in self._by_name} | self._by_name
        self._within = {name: now for name, now in written.items() if len(name) >= MIN_CHARS_WITHIN_TEXT}
        longest_first = sorted(self._within, key=len, reverse=True)
        self._pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first) or r"(?!)", re.I)
        encoded = {msgspec.json.encode(name).decode()[1:-1] for name in (*self._by_name, *self._within)}
        self._anywhere = re.compile("|".join(map(re.escape, sorted(encoded))) or r"(?!)", re.I)

    def may_be_in(self, text: str) -> bool:
        """Whether a text or JSON may have one of the names, or USER."""
        return self._is_titled in text or self._anywhere.search(text) is not None

    def may_be_in_event(self, kind: str, text: str) -> bool:
        """Whether an event's data may have one of the names, or report an act of the user."""
        return self.may_be_in(text) or (kind == ACTIVITY_REPORTED and f'"user":{self._user}' in text)

    def in_text(self, text: str) -> str:
        """A text without the names."""
        whole = self._by_name.get(text.casefold())
        if whole is not None:
            return whole
        return self._pattern.sub(lambda match: self._within.get(match[0].casefold(), ""), text)

    def in_json(self, text: str) -> str:
        """A JSON text without the names."""
        return msgspec.json.encode(self._walk(msgspec.json.decode(text))).decode()

    def in_event(self, kind: str, text: str) -> str:
        """An event's data without the names."""
        data = msgspec.json.decode(text)
        others = data.pop("body", None) if kind.startswith(OTHERS_TEXTS) else None
        cleaned = self._walk(data)
        if others is not None:
            cleaned["body"] = others
        if kind.startswith("conversation.") and cleaned.get("title") == "":
            cleaned["title"] = None
        if kind == "conversation.updated" and self._erases and (cleaned.get("by") or {}).get("id") == self._user:
            cleaned["title"] = None
        if kind == ACTIVITY_REPORTED and cleaned.get("user") == self._user:
            cleaned |= {"description": "", "metadata": {}}
        return msgspec.json.encode(cleaned).decode()

    def in_record(self, line: bytes) -> bytes:
        """A line of an archive file without the names, and without what a record of the user describes."""
        text = line.decode()
        record = msgspec.json.decode(text)
        if record["user"] == self._user:
            record |= {"metadata": {}, "site": None, "address" if "address" in record else "description": ""}
        elif not self.may_be_in(text):
            return line
        return msgspec.json.encode(self._walk(record))

    def _walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("id") == self._user and "username" in value:
                return self._view
            return {name: self._walk(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._walk(inner) for inner in value]
        return self.in_text(value) if isinstance(value, str) else value
