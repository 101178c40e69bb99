"""The query of a message search: words, and filters such as `from:ana in:"The crew" after:2026-11-01`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from models.store.errors import InvalidError

QUOTES = '"“”„'
PART = re.compile(f"(from|in|before|after):(?:[{QUOTES}]([^{QUOTES}]*)[{QUOTES}]|(\\S+))(?!\\S)|\\S+", re.IGNORECASE)
MAX_NAMES = 5  # in filters
DATE = re.compile(r"(19[7-9]\d|2\d{3})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


class Query(NamedTuple):
    """The words that a message must contain, and whose it may be: of one of the senders, in one of the conversations (texts that
    name them), sent from the day `since` on and before the day `until`."""

    words: Sequence[str]
    senders: Sequence[str] = ()
    conversations: Sequence[str] = ()
    since: date | None = None
    until: date | None = None

    def has_filters(self) -> bool:
        """Return whether anything but words is required."""
        return bool(self.senders or self.conversations or self.since or self.until)


def parse(text: str) -> Query:
    """Parse a query. Everything that is no filter is a word: `to:ben`, and `before:noon`, which names no date.

    Raises InvalidError for more than MAX_NAMES different names.
    """
    words: list[str] = []
    names: dict[str, dict[str, None]] = {"from": {}, "in": {}}
    days: dict[str, list[date]] = {"before": [], "after": []}
    for part in PART.finditer(text):
        kind, value = (part[1] or "").lower(), (part[2] or part[3] or "").strip()
        day = _day(value) if kind in days else None
        if kind in names and value:
            names[kind][value] = None
        elif day is not None:
            days[kind].append(day)
        else:
            words.append(part[0])
    senders, conversations = list(names["from"]), list(names["in"])
    if len(senders) + len(conversations) > MAX_NAMES:
        raise InvalidError(("q", f"must have at most {MAX_NAMES} names after from: and in:"))
    since, until = max(days["after"], default=None), min(days["before"], default=None)
    return Query(words, senders, conversations, since, until)


def _day(text: str) -> date | None:
    """The day of `2026-11-21`, the first of `2026-11` or `2026`; None for another text."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return None
