"""When digests are due, in a user's own time zone: hourly ones at the full hour, daily ones at nine in the morning.

Periods are named by local time with its offset, so the hour that occurs twice when summer time ends is two periods. A day is one
period, however many hours it has.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from models.identity.time_zone import zone

DAILY_AT_HOUR = 9  # so that a working day begins with the news of the night
HOUR_MS = 3_600_000
AT_ONCE = 0  # when a mail is due


def mail_due_ms(email: str, since_ms: int, timezone: str) -> int | None:
    """When a mail about something that happened is due, by its receiver's preference: AT_ONCE, a moment in Unix ms, or never."""
    if email == "off":
        return None
    return AT_ONCE if email == "instant" else next_digest_ms(email, since_ms, timezone)


def next_digest_ms(every: str, since_ms: int, timezone: str) -> int:
    """When the first `hourly` or `daily` digest after a moment is due, in Unix ms."""
    if every == "hourly":
        return _hour_start_ms(since_ms, timezone) + HOUR_MS
    local = _local(since_ms, timezone)
    today = _daily_ms(local)
    return today if today > since_ms else _daily_ms(local + timedelta(days=1))


def digest_period(every: str, now_ms: int, timezone: str) -> str:
    """The name of the period whose digest is due now: `hourly 2026-11-26T10:00+01:00`, `daily 2026-11-26`."""
    local = _local(now_ms, timezone)
    if every == "hourly":
        return f"hourly {_local(_hour_start_ms(now_ms, timezone), timezone).isoformat(timespec='minutes')}"
    day = local if _daily_ms(local) <= now_ms else local - timedelta(days=1)
    return f"daily {day.date().isoformat()}"


def local_time(due_ms: int, timezone: str) -> str:
    """The local time of a moment: `09:00`."""
    return _local(due_ms, timezone).strftime("%H:%M")


def _local(at_ms: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, zone(timezone))


def _hour_start_ms(at_ms: int, timezone: str) -> int:
    """The start of the local hour, in Unix ms, by the offset at that moment: some zones differ by half or a quarter of an hour."""
    offset = _local(at_ms, timezone).utcoffset() or timedelta()
    offset_ms = round(offset.total_seconds() * 1000)
    return at_ms - (at_ms + offset_ms) % HOUR_MS


def _daily_ms(local: datetime) -> int:
    """DAILY_AT_HOUR of that day, in Unix ms."""
    daily = local.replace(hour=DAILY_AT_HOUR, minute=0, second=0, microsecond=0, fold=0)
    return round(daily.timestamp() * 1000)
