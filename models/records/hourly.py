"""Hourly counts of activity as admins read them: they stay when the records are archived."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from models.records.records import END_OF_TIME_MS
from models.store.clock import rfc3339
from models.store.database import rows

HourPosition = tuple[int, str, str]  # where a count is: hour_ms, action and site (empty: on none)


class HourFilter(NamedTuple):
    """Which counts are asked for: of hours that begin within a time, of an action, of a site. None: any."""

    since_ms: int | None = None
    until_ms: int | None = None
    action: str | None = None
    site: str | None = None


class Hour(TypedDict):
    """How often an action was recorded in the hour that begins then, on a site."""

    hour: str
    action: str
    site: str | None
    count: int


def list_newest(span: HourFilter, before: HourPosition | None, limit: int) -> list[tuple[HourPosition, Hour]]:
    """Counts with their places, the newest hour first, from before a place on."""
    upto = min(before or (END_OF_TIME_MS, "", ""), (END_OF_TIME_MS if span.until_ms is None else span.until_ms, "", ""))
    filters = {"action": span.action, "site": span.site}
    conditions = {column: value for column, value in filters.items() if value is not None}
    found = rows(
        "SELECT hour_ms, action, site, count FROM activity_hourly WHERE hour_ms>=? AND (hour_ms, action, site)<(?, ?, ?)"
        + "".join(f" AND {column}=?" for column in conditions)
        + " ORDER BY hour_ms DESC, action DESC, site DESC LIMIT ?",
        (span.since_ms or 0, *upto, *conditions.values(), limit),
    )
    return [((at, what, where), Hour(hour=rfc3339(at), action=what, site=where or None, count=n)) for at, what, where, n in found]
