"""Hourly counts of activity as admins read them: they stay when the records are archived."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from peewee import Tuple

from models.records.activity import ActivityHour
from models.records.records import END_OF_TIME_MS
from models.store.clock import rfc3339
from models.store.database import fetch_rows

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
    position = Tuple(ActivityHour.hour_ms, ActivityHour.action, ActivityHour.site)
    columns = (ActivityHour.hour_ms, ActivityHour.action, ActivityHour.site, ActivityHour.count)
    query = ActivityHour.select(*columns).where(ActivityHour.hour_ms >= (span.since_ms or 0), position < upto)
    if span.action is not None:
        query = query.where(ActivityHour.action == span.action)
    if span.site is not None:
        query = query.where(ActivityHour.site == span.site)
    newest_first = (ActivityHour.hour_ms.desc(), ActivityHour.action.desc(), ActivityHour.site.desc())
    return [
        ((hour_ms, action, site), Hour(hour=rfc3339(hour_ms), action=action, site=site or None, count=count))
        for hour_ms, action, site, count in fetch_rows(query.order_by(*newest_first).limit(limit))
    ]
