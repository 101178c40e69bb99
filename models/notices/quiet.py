"""Quiet hours: when a user's mail and push wait, in their own time zone. Pure functions.

A night belongs to the day on which it begins, also when it ends on the next one; with equal times it is a whole day. It is an
interval of moments, not of clock times, so no change of the clocks ends it and begins it again. A time that a change skips is moved
by the length of the gap. Of a time that occurs twice, quiet hours begin at the first and end at the second. A day that a zone skips
has no night.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from typing import Annotated

import msgspec

from models.identity.time_zone import zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9]"
NEAR_DAYS = range(-2, 2)  # from a moment's own date: those whose nights may contain the moment
MAX_NIGHTS = 8  # that follow each other without a pause: a week's, and the one that its first is again

# `invalid` enforces these, since it names all wrong fields together.
DayName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": DAYS})]
DayNames = Annotated[list[DayName], msgspec.Meta(extra_json_schema={"minItems": 1, "maxItems": len(DAYS)})]
ClockTime = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{TIME_PATTERN}$"})]


class Quiet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quiet hours: the days on which they begin, and the local times at which they begin and end, the same or the next day."""

    days: DayNames
    begins: ClockTime = msgspec.field(name="from")
    ends: ClockTime = msgspec.field(name="to")


def invalid(quiet: Quiet) -> list[tuple[str, str]]:
    """Return (field, message) of each wrong field."""
    errors = []
    if not (1 <= len(quiet.days) <= len(DAYS) and set(quiet.days) <= set(DAYS)):
        errors.append(("quiet.days", f"must be one or more of {', '.join(DAYS)}"))
    for field, text in (("quiet.from", quiet.begins), ("quiet.to", quiet.ends)):
        if not re.fullmatch(TIME_PATTERN, text):
            errors.append((field, "must be a time from 00:00 to 23:59"))
    if not errors and quiet.begins == quiet.ends and set(quiet.days) == set(DAYS):
        errors.append(("quiet.to", "must differ from quiet.from, since whole days that are quiet each day would never end"))
    return errors


def encode(quiet: Quiet) -> str:
    """Return the JSON of the store, each day once and in the order of the week."""
    days = [day for day in DAYS if day in quiet.days]
    return msgspec.json.encode(msgspec.structs.replace(quiet, days=days)).decode()


@lru_cache(maxsize=1024)
def decode(text: str | None) -> Quiet | None:
    """Return the quiet hours of the store's JSON, None for NULL."""
    return None if text is None else msgspec.json.decode(text, type=Quiet)


def quiet_until_ms(quiet: Quiet | None, at_ms: int, timezone: str) -> int | None:
    """Return the moment, in Unix ms, at which the quiet hours end that contain a moment; None when none do. Nights that follow each
    other without a pause are one."""
    if quiet is None:
        return None
    until_ms = _night_end_ms(quiet, at_ms, timezone)
    for _ in range(MAX_NIGHTS):
        next_ms = None if until_ms is None else _night_end_ms(quiet, until_ms, timezone)
        if next_ms is None:
            break
        until_ms = next_ms
    return until_ms


def _night_end_ms(quiet: Quiet, at_ms: int, timezone: str) -> int | None:
    """The end of the night that contains a moment, the latest of several; None when none does."""
    today = datetime.fromtimestamp(at_ms / 1000, zone(timezone)).date()
    nights = [
        _night_ms(quiet.begins, quiet.ends, day, timezone)
        for day in (today + timedelta(days=days) for days in NEAR_DAYS)
        if DAYS[day.weekday()] in quiet.days
    ]
    return max((end_ms for begin_ms, end_ms in nights if begin_ms <= at_ms < end_ms), default=None)


@lru_cache(maxsize=4096)
def _night_ms(begin_time: str, end_time: str, day: date, timezone: str) -> tuple[int, int]:
    """The first moment of a day's night and the first one after it, in Unix ms; the same moment for a day that the zone skipped.

    Cached: many users have the same nights, and each decision about a user needs some.
    """
    begins, ends, local_zone = clock_time.fromisoformat(begin_time), clock_time.fromisoformat(end_time), zone(timezone)
    if _is_skipped(datetime.combine(day, clock_time(12), local_zone)):  # a zone that changed the side of the date line
        return 0, 0
    last_day = day if begins < ends else day + timedelta(days=1)
    begin = datetime.combine(day, begins, local_zone)
    end = datetime.combine(last_day, ends, local_zone)
    if not _is_skipped(end):
        end = end.replace(fold=1)
    return _unix_ms(begin), _unix_ms(end)


def _is_skipped(local: datetime) -> bool:
    """Whether the clocks never show this local time."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)


def _unix_ms(local: datetime) -> int:
    return round(local.timestamp() * 1000)
