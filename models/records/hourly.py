"""Lists of hourly counts of activity. Counts stay when their records are archived."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from peewee import Tuple

from models.records.activity import ActivityHour
from models.records.records import END_OF_TIME_MS
from models.store.clock import rfc3339
from models.store.database import fetch_rows

HourPosition = tuple[int, str, str]  # hour_ms, action and site (empty: none) of a count


class HourFilter(NamedTuple):
    """The counts to select: of hours that begin within a time, of an action, of a site. None: any."""

    since_ms: int | None = None
    until_ms: int | None = None
    action: str | None = None
    site: str | None = None


class Hour(TypedDict):
    """The number of records of an action on a site in the hour that begins at `hour`."""

    hour: str
    action: str
    site: str | None
    count: int


def list_newest(hour_filter: HourFilter, before: HourPosition | None, limit: int) -> list[tuple[HourPosition, Hour]]:
    """Counts that match the filter and are before a position, newest hour first, each with its position."""
    until_ms = END_OF_TIME_MS if hour_filter.until_ms is None else hour_filter.until_ms
    end = min(before or (END_OF_TIME_MS, "", ""), (until_ms, "", ""))
    position = Tuple(ActivityHour.hour_ms, ActivityHour.action, ActivityHour.site)
    columns = (ActivityHour.hour_ms, ActivityHour.action, ActivityHour.site, ActivityHour.count)
    query = ActivityHour.select(*columns).where(ActivityHour.hour_ms >= (hour_filter.since_ms or 0), position < end)
    if hour_filter.action is not None:
        query = query.where(ActivityHour.action == hour_filter.action)
    if hour_filter.site is not None:
        query = query.where(ActivityHour.site == hour_filter.site)
    newest_first = (ActivityHour.hour_ms.desc(), ActivityHour.action.desc(), ActivityHour.site.desc())
    return [
        ((hour_ms, action, site), Hour(hour=rfc3339(hour_ms), action=action, site=site or None, count=count))
        for hour_ms, action, site, count in fetch_rows(query.order_by(*newest_first).limit(limit))
    ]
