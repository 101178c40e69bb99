"""When something is due: leases that end, and work that was postponed. All times compared here are of the store's clock.

The clocks of hosts differ, and each may be set back. So a time counts only as far ahead as such a time is ever planned: one that is
further ahead was planned while the clock was ahead, and is due now.
"""

from __future__ import annotations

import peewee


def is_due(at_ms: int, now_ms: int, max_delay_ms: int) -> bool:
    """Return whether a time has come that was planned at most `max_delay_ms` ahead."""
    return not now_ms < at_ms <= now_ms + max_delay_ms


def due(column: peewee.Field, now_ms: int, max_delay_ms: int) -> peewee.Expression:
    """Return the same as a condition on a column."""
    condition: peewee.Expression = ~column.between(now_ms + 1, now_ms + max_delay_ms)
    return condition
