"""Times: the store has integer milliseconds since 1970-01-01 UTC, the API has RFC 3339."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(at_ms: int) -> str:
    """Format a time as `2026-11-21T09:30:00.123Z` (RFC 3339, section 5.6)."""
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


def rfc3339_or_none(at_ms: int | None) -> str | None:
    """Format a time of a column that may be NULL."""
    return None if at_ms is None else rfc3339(at_ms)
