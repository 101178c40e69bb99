"""Time zones on systems that lack their files."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.identity import time_zone
from models.notices import schedule


def forget() -> None:
    """Empty the caches, as in a new process."""
    time_zone._names.cache_clear()
    time_zone.zone.cache_clear()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.fixture
def without_files() -> Iterator[None]:
    """A system without time zone files, as a slim image is."""
    zoneinfo.reset_tzpath(to=())
    forget()
    yield
    zoneinfo.reset_tzpath()
    forget()


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Calcutta", "US/Pacific", "Europe/Kiev"])
def test_old_names_are_known_without_the_systems_files(name: str, without_files: None) -> None:
    assert time_zone.is_known(name)
    assert str(time_zone.zone(name)) == name


def test_a_digest_follows_an_old_name(without_files: None) -> None:
    midnight_ms = round(datetime(2031, 5, 6, tzinfo=UTC).timestamp() * 1000)
    nine_in_india = datetime(2031, 5, 6, 9, tzinfo=UTC) - timedelta(hours=5, minutes=30)
    assert schedule.next_digest_ms("daily", midnight_ms, "Asia/Calcutta") == round(nine_in_india.timestamp() * 1000)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "posixrules", "localtime", "Europe", "utc\0", "Europe/berlin"])
def test_what_is_no_name_is_not_known_and_counts_as_utc(name: str) -> None:
    assert not time_zone.is_known(name)
    assert time_zone.zone(name) is UTC
