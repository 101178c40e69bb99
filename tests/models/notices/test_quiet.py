"""Quiet hours in the time zones of users: nights over midnight, and around every kind of change of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.notices.quiet import DAYS, Quiet, decode, encode, invalid, quiet_until_ms
from tests.models.notices.test_schedule import at

HOUR_MS = 3_600_000
WORKDAYS = list(DAYS[:5])
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "America/Nuuk"),
    *("America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati", "Africa/Casablanca", "Asia/Gaza"),
)


def until(quiet: Quiet, moment: str, zone: str, fold: int = 0) -> str | None:
    """The local time at which it ends to be quiet, with its offset."""
    end_ms = quiet_until_ms(quiet, at(moment, zone, fold), zone)
    return None if end_ms is None else datetime.fromtimestamp(end_ms / 1000, ZoneInfo(zone)).isoformat(" ", timespec="minutes")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-27 21:59:59.999", None),
        ("2026-11-27 22:00", "2026-11-28 07:00+01:00"),  # a Friday
        ("2026-11-28 06:59:59.999", "2026-11-28 07:00+01:00"),
        ("2026-11-28 07:00", None),
        ("2026-11-28 22:00", None),  # a Saturday, which is not listed
        ("2026-11-29 23:00", None),
        ("2026-11-30 06:00", None),  # Monday's night begins in the evening
        ("2026-11-30 22:00", "2026-12-01 07:00+01:00"),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, expected: str | None) -> None:
    assert until(Quiet(WORKDAYS, "22:00", "07:00"), moment, "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("days", "begins", "ends", "moment", "expected"),
    [
        (["wed"], "12:00", "13:30", "2026-11-25 12:15", "2026-11-25 13:30+00:00"),
        (["wed"], "12:00", "13:30", "2026-11-25 13:30", None),
        (["wed"], "09:00", "09:00", "2026-11-26 08:59", "2026-11-26 09:00+00:00"),  # a whole day
        (["sat", "sun"], "00:00", "00:00", "2026-11-28 00:00", "2026-11-30 00:00+00:00"),  # a whole weekend, which is one
        (["sat", "sun"], "00:00", "00:00", "2026-11-27 23:59", None),
        (list(DAYS), "22:00", "21:59", "2026-11-28 21:58", "2026-11-28 21:59+00:00"),
    ],
)
def test_equal_times_are_a_whole_day(days: list[str], begins: str, ends: str, moment: str, expected: str | None) -> None:
    assert until(Quiet(days, begins, ends), moment, "UTC") == expected


@pytest.mark.parametrize(
    ("zone", "begins", "ends", "moment", "expected"),
    [
        ("Europe/Berlin", "22:00", "02:30", "2026-03-28 23:00", "2026-03-29 03:30+02:00"),  # 02:30 does not exist
        ("Europe/Berlin", "02:30", "07:00", "2026-03-29 03:15", None),
        ("Europe/Berlin", "02:30", "07:00", "2026-03-29 03:30", "2026-03-29 07:00+02:00"),
        ("America/New_York", "22:00", "02:30", "2026-03-07 23:00", "2026-03-08 03:30-04:00"),
        ("Australia/Lord_Howe", "22:00", "02:15", "2026-10-03 23:00", "2026-10-04 02:45+11:00"),  # a gap of 30 minutes
        ("America/Havana", "22:00", "00:30", "2026-03-07 23:00", "2026-03-08 01:30-04:00"),  # midnight does not exist
        ("America/Havana", "00:00", "06:00", "2026-03-08 01:00", "2026-03-08 06:00-04:00"),
        ("Asia/Beirut", "00:00", "06:00", "2026-03-29 01:00", "2026-03-29 06:00+03:00"),
        ("America/Nuuk", "23:30", "07:00", "2026-03-29 00:30", "2026-03-29 07:00-01:00"),  # Saturday ends at 23:00
    ],
)
def test_a_time_that_a_change_skips_is_moved_by_the_gap(
    zone: str, begins: str, ends: str, moment: str, expected: str | None
) -> None:
    assert until(Quiet(list(DAYS), begins, ends), moment, zone) == expected


@pytest.mark.parametrize(
    ("zone", "begins", "ends", "moment", "fold", "expected"),
    [
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25 02:40", 0, "2026-10-25 02:30+01:00"),  # past 02:30, which comes again
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25 02:30", 1, None),
        ("Europe/Berlin", "02:30", "07:00", "2026-10-25 02:29", 0, None),
        ("Europe/Berlin", "02:30", "07:00", "2026-10-25 02:30", 0, "2026-10-25 07:00+01:00"),
        ("Europe/Berlin", "02:30", "07:00", "2026-10-25 02:00", 1, "2026-10-25 07:00+01:00"),  # it is not begun again
        ("Europe/Berlin", "02:10", "02:20", "2026-10-25 02:30", 0, "2026-10-25 02:20+01:00"),
        ("America/New_York", "22:00", "01:30", "2026-11-01 01:45", 0, "2026-11-01 01:30-05:00"),
        ("Australia/Lord_Howe", "22:00", "01:45", "2026-04-05 01:50", 0, "2026-04-05 01:45+10:30"),
        ("America/Havana", "22:00", "00:30", "2026-11-01 00:45", 0, "2026-11-01 00:30-05:00"),  # midnight comes twice
        ("Asia/Beirut", "23:30", "07:00", "2026-10-24 23:15", 1, "2026-10-25 07:00+02:00"),  # begun before the change
        ("America/St_Johns", "00:00", "06:00", "2010-11-06 23:30", 1, "2010-11-07 06:00-03:30"),  # 00:01 became 23:01
    ],
)
def test_a_time_that_occurs_twice_begins_at_the_first_and_ends_at_the_second(
    zone: str, begins: str, ends: str, moment: str, fold: int, expected: str | None
) -> None:
    assert until(Quiet(list(DAYS), begins, ends), moment, zone, fold) == expected


def test_a_day_that_a_zone_skipped_has_no_night() -> None:
    friday = Quiet(["fri"], "22:00", "07:00")  # Samoa went from Thursday, 29 December 2011, to Saturday
    assert until(friday, "2011-12-31 23:00", "Pacific/Apia") is None
    thursday = Quiet(["thu"], "22:00", "07:00")
    assert until(thursday, "2011-12-31 06:00", "Pacific/Apia") == "2011-12-31 07:00+14:00"


times = st.times().map(lambda time: time.strftime("%H:%M"))
hours = st.builds(Quiet, st.lists(st.sampled_from(DAYS), min_size=1, unique=True), times, times)
moments = st.integers(at("2010-01-01 00:00"), at("2037-12-31 00:00"))
changes = st.builds(  # near the changes of these zones, too
    lambda year, month, hour: at(f"{year}-01-01 00:00") + round((month * 30.4 * 24 + hour) * HOUR_MS),
    *(st.integers(2010, 2036), st.sampled_from([2.6, 3.1, 8.8, 9.1, 9.6, 9.9, 10.1]), st.integers(-200, 200)),
)


@given(hours, moments | changes, st.sampled_from(ZONES))
def test_an_end_is_ahead_and_not_quiet_itself(quiet: Quiet, moment: int, zone: str) -> None:
    if invalid(quiet):
        return
    until_ms = quiet_until_ms(quiet, moment, zone)
    if until_ms is not None:
        longest_ms = 25 * HOUR_MS * (1 if len(quiet.days) == 1 else 7)
        assert moment < until_ms <= moment + longest_ms + 24 * HOUR_MS * (zone == "Pacific/Apia")
        assert quiet_until_ms(quiet, until_ms - 1, zone) == until_ms
        assert quiet_until_ms(quiet, until_ms, zone) is None


@given(hours, moments | changes, st.sampled_from(ZONES))
def test_a_clock_that_shows_quiet_hours_is_in_them(quiet: Quiet, moment: int, zone: str) -> None:
    """By the clock on the wall alone, where no change is near: the definition that users have."""
    local = datetime.fromtimestamp(moment / 1000, ZoneInfo(zone))
    offsets = {(local + timedelta(days=days)).utcoffset() for days in (-2, -1, 0, 1, 2)}
    if invalid(quiet) or len(offsets) > 1:
        return
    time, today, yesterday = local.strftime("%H:%M"), DAYS[local.weekday()], DAYS[local.weekday() - 1]
    if quiet.begins < quiet.ends:
        expected = today in quiet.days and quiet.begins <= time < quiet.ends
    else:
        expected = (today in quiet.days and time >= quiet.begins) or (yesterday in quiet.days and time < quiet.ends)
    assert (quiet_until_ms(quiet, moment, zone) is not None) == expected


def test_quiet_hours_are_kept_as_json() -> None:
    quiet = Quiet(["sun", "mon", "sun"], "22:00", "07:00")
    assert encode(quiet) == '{"days":["mon","sun"],"from":"22:00","to":"07:00"}'
    assert decode(encode(quiet)) == Quiet(["mon", "sun"], "22:00", "07:00")
    assert decode(None) is None
    assert quiet_until_ms(None, 0, "UTC") is None


@pytest.mark.parametrize(
    ("quiet", "field"),
    [
        (Quiet(["mon", "someday"], "22:00", "07:00"), "quiet.days"),
        (Quiet(list(DAYS), "22:00", "22:00"), "quiet.to"),
        (Quiet(list(DAYS[1:]), "22:00", "22:00"), None),
    ],
)
def test_quiet_hours_that_never_end_are_refused(quiet: Quiet, field: str | None) -> None:
    assert [name for name, _ in invalid(quiet)] == ([field] if field else [])


@pytest.mark.parametrize("text", ["24:00", "7:00", "07:60", "07:00:00", "07:00\n", "07.00", "", "٠٧:٠٠"])
def test_a_time_has_hours_and_minutes(text: str) -> None:
    assert [name for name, _ in invalid(Quiet([], "22:00", text))] == ["quiet.days", "quiet.to"]


def test_a_zone_that_is_not_known_any_more_counts_as_utc() -> None:
    moment = round(datetime(2026, 11, 27, 23, tzinfo=UTC).timestamp() * 1000)
    assert quiet_until_ms(Quiet(["fri"], "22:00", "23:30"), moment, "Mars/Base") == moment + HOUR_MS // 2
