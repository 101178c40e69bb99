"""The watches: activity that is counted for every admin who has not switched it off, and its words.

jobs/consumers/admin_watch.py counts it; admins choose by `PUT /api/v1/admin/watches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from models.notices.causes import Words

WATCHES = {
    "message.sent": Words("1 message sent", title_more="{n} messages sent"),
    "user.created": Words("1 new user", title_more="{n} new users"),
    "user.status": Words("1 account changed", title_more="{n} accounts changed"),
    "report.created": Words("1 new report", title_more="{n} new reports"),
    "user.activity": Words("1 activity", title_more="{n} activities"),
}


@lru_cache(maxsize=256)  # most admins have the same few choices
def _switches(stored: str) -> Mapping[str, bool]:
    switches: Mapping[str, bool] = msgspec.json.decode(stored)
    return switches


def is_on(stored: str, watch: str) -> bool:
    """Whether an admin's choices, JSON as stored, have a watch on. A watch that is missing there is on."""
    switches = _switches(stored)
    return watch not in switches or switches[watch]


def count_for(admin: int, stored: str, watch: str, count_by_user: Mapping[int, int]) -> int:
    """Return how many of these acts are counted for an admin: 0 when the watch is off, and never their own acts."""
    return sum(count_by_user.values()) - count_by_user.get(admin, 0) if is_on(stored, watch) else 0
