"""Calendar months in UTC, by their start and end in Unix milliseconds; and the names of tables that have one month each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

DAY_MS = 24 * 3600 * 1000


def start_of(at_ms: int) -> int:
    """The start of the month that contains a time."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return _start(at.year, at.month)


def end_of(start_ms: int) -> int:
    """The end of the month that starts at `start_ms`, which is the start of the next one."""
    return start_of(start_ms + 31 * DAY_MS)


def month_of(at_ms: int, form: str = "%Y-%m") -> str:
    """The month of a time as text: `2026-08`, or another `strftime` form."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form)


def table_of(table: str, start_ms: int) -> str:
    """The name of a month's table: `activities_2026_08`."""
    return f"{table}_{month_of(start_ms, '%Y_%m')}"


def by_month(table: str, names: Iterable[str]) -> dict[str, int]:
    """name -> start of its month, for those of the names that are a table's months, sorted by month. A month may have several
    tables, which are numbered: `activities_2026_08_2`."""
    starts: dict[str, int] = {}
    for name in names:
        match = re.fullmatch(rf"{table}_(\d{{4}})_(\d\d)(?:_\d+)?", name)
        if match:
            starts[name] = _start(int(match[1]), int(match[2]))
    return dict(sorted(starts.items(), key=lambda item: (item[1], item[0])))


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)
