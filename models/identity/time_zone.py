"""Time zones by their IANA names, old names included, the same on all systems.

The package `tzdata` has those that the system's files lack: some systems have no old names such as Asia/Calcutta, which browsers
still send, and slim images have no files at all.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import structlog

EXPECTED = "an IANA name such as Europe/Berlin"
logger = structlog.get_logger("models")


@cache
def _names() -> frozenset[str]:
    """Return the names of all time zones. It reads a directory of some 600 files, so it runs once."""
    return frozenset(available_timezones() - {"localtime"})  # which means another zone on each host


def is_known(name: str) -> bool:
    """Return whether there is a time zone of this name."""
    return name in _names()


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """Return a time zone by its name; UTC, with a warning in the log, for a name that is not known any more."""
    if is_known(name):
        return ZoneInfo(name)
    logger.warning("time_zone_unknown", name=name[:64])
    return UTC
