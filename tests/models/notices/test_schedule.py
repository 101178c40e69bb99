"""Times of digests in the time zones of users: around changes of summer time and in zones far from UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.notices.schedule import AT_ONCE, digest_period, local_time, mail_due_ms, next_digest_ms

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
)


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("since", "zone", "due_at"),
    [
        ("2026-11-26 10:15", "UTC", "2026-11-26 11:00"),
        ("2026-11-26 10:00", "UTC", "2026-11-26 11:00"),
        ("2026-11-26 10:59:59.999", "UTC", "2026-11-26 11:00"),
        ("2026-11-26 10:15", "Asia/Kathmandu", "2026-11-26 11:00"),
        ("2026-11-26 23:59", "Pacific/Kiritimati", "2026-11-27 00:00"),
        ("2026-03-29 01:30", "Europe/Berlin", "2026-03-29 03:00"),  # 02:00 does not exist on this day
    ],
)
def test_an_hourly_digest_is_due_at_the_next_full_local_hour(since: str, zone: str, due_at: str) -> None:
    assert next_digest_ms("hourly", at(since, zone), zone) == at(due_at, zone)


@pytest.mark.parametrize(
    ("since", "zone", "due_at"),
    [
        ("2026-11-26 08:59:59.999", "UTC", "2026-11-26 09:00"),
        ("2026-11-26 09:00", "UTC", "2026-11-27 09:00"),
        ("2026-11-26 22:00", "America/New_York", "2026-11-27 09:00"),
        ("2026-03-28 12:00", "Europe/Berlin", "2026-03-29 09:00"),  # 20 hours later
        ("2026-10-24 12:00", "Europe/Berlin", "2026-10-25 09:00"),  # 22 hours later
        ("2026-12-31 23:00", "Pacific/Pago_Pago", "2027-01-01 09:00"),
        ("2011-12-29 12:00", "Pacific/Apia", "2011-12-31 09:00"),  # the 30th does not exist in this zone
    ],
)
def test_a_daily_digest_is_due_at_nine_local_time(since: str, zone: str, due_at: str) -> None:
    assert next_digest_ms("daily", at(since, zone), zone) == at(due_at, zone)


def test_an_hour_that_is_repeated_by_winter_time_is_two_periods() -> None:
    first, repeated = (at("2026-10-25 02:30", "Europe/Berlin", fold) for fold in (0, 1))
    assert repeated - first == 3_600_000
    assert digest_period("hourly", first, "Europe/Berlin") == "hourly 2026-10-25T02:00+02:00"
    assert digest_period("hourly", repeated, "Europe/Berlin") == "hourly 2026-10-25T02:00+01:00"


def test_a_daily_period_begins_at_nine_also_on_days_of_23_or_25_hours() -> None:
    for day in ("2026-03-29", "2026-10-25", "2026-11-26"):
        assert digest_period("daily", at(f"{day} 09:00", "Europe/Berlin"), "Europe/Berlin") == f"daily {day}"
        yesterday = datetime.fromisoformat(day).date() - timedelta(days=1)
        assert digest_period("daily", at(f"{day} 08:59:59", "Europe/Berlin"), "Europe/Berlin") == f"daily {yesterday}"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", ["hourly", "daily"])
def test_over_a_year_periods_have_no_gaps_and_unique_names(every: str, zone: str) -> None:
    now, end = at("2026-01-01 00:20"), at("2027-01-01 00:00")
    names = [digest_period(every, now, zone)]
    while now < end:
        due_ms = next_digest_ms(every, now, zone)
        assert now < due_ms <= now + (3_600_000 if every == "hourly" else 25 * 3_600_000)
        assert digest_period(every, due_ms - 1, zone) == names[-1], datetime.fromtimestamp(due_ms / 1000, UTC)
        now = due_ms
        names.append(digest_period(every, now, zone))
    assert len(set(names)) == len(names) >= (8_760 if every == "hourly" else 366)


def test_preferences_decide_when_mail_is_due_and_unknown_zones_are_utc() -> None:
    now = at("2026-11-26 10:15")
    assert (mail_due_ms("off", now, "UTC"), mail_due_ms("instant", now, "UTC")) == (None, AT_ONCE)
    assert mail_due_ms("hourly", now, "UTC") == mail_due_ms("hourly", now, "Mars/Base") == at("2026-11-26 11:00")
    assert local_time(now, "Asia/Kathmandu") == "16:00"
