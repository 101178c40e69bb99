"""Months, in UTC, by where they begin and end in milliseconds; and tables that have a month each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

DAY_MS = 24 * 3600 * 1000


def start_of(at_ms: int) -> int:
    """Where the month of a time begins."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return _start(at.year, at.month)


def end_of(start_ms: int) -> int:
    """Where a month ends, and the next one begins."""
    return start_of(start_ms + 31 * DAY_MS)


def month_of(at_ms: int, form: str = "%Y-%m") -> str:
    """`2026-08`, or another form of it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form)


def table_of(table: str, start_ms: int) -> str:
    """The table of a month: `activities_2026_08`."""
    return f"{table}_{month_of(start_ms, '%Y_%m')}"


def by_month(table: str, names: Iterable[str]) -> dict[str, int]:
    """Of these names those of a table's months, in their order, and where each begins. A month may have several, numbered."""
    found = ((name, re.fullmatch(rf"{table}_(\d{{4}})_(\d\d)(?:_\d+)?", name)) for name in names)
    starts = {name: _start(int(match[1]), int(match[2])) for name, match in found if match}
    return dict(sorted(starts.items(), key=lambda item: (item[1], item[0])))


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)
