"""What admins watch: one unread notification each, which grows with the activity since they last read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from jobs.activity import MESSAGE_SENT
from jobs.consumer import Consumer, Written, sent
from models import notification as notifications
from models.event import Event, Log
from models.notification import Cause, Growth
from models.user import active_admins

GROUPING = f"watch:{MESSAGE_SENT}"
Counted = tuple[list[tuple[Cause, int]], list[Growth]]
DATA = msgspec.json.encode({"action": MESSAGE_SENT})


@lru_cache(maxsize=256)
def watches(chosen: str) -> Mapping[str, Any]:
    """What an admin chose to hear of, from its JSON: what is missing is on."""
    found: Mapping[str, Any] = msgspec.json.decode(chosen)
    return found


def heard_of(admin: int, chosen: str, total: int, by_sender: Mapping[int, int]) -> int:
    """How many of these messages the admin hears of: none if switched off, and never about one's own act."""
    return total - by_sender.get(admin, 0) if watches(chosen).get(MESSAGE_SENT, True) else 0


class Watch(Consumer):
    """Adds up what was sent, once a second for all admins together, however much it is.

    A count carries no trace of what went into it, so nothing could tell afterwards that a slice was counted twice. It isn't,
    since the checkpoint moves in the transaction that adds: either both happen or neither. Hence one part for all admins.
    """

    name: ClassVar[str] = "watch"
    types: ClassVar[tuple[str, ...]] = ("message.created",)
    appends: ClassVar[bool] = True
    notifies: ClassVar[str] = "admin"
    events_a_slice: ClassVar[int] = 5_000
    slices_a_run: ClassVar[int | None] = 1
    interval_ms: ClassVar[int] = 1_000

    def prepare(self, events: Sequence[Event]) -> Iterable[Counted]:
        by_sender = Counter(sent(e.data).sender for e in events)
        counted = list(_counted(len(events), by_sender))
        return [(counted, notifications.foresee(counted))] if counted else []

    def write(self, log: Log, part: Counted) -> Written:
        return Written(*notifications.grow_foreseen(log, *part))


def _counted(total: int, by_sender: Mapping[int, int]) -> Iterator[tuple[Cause, int]]:
    for admin, chosen in active_admins():
        n = heard_of(admin, chosen, total, by_sender)
        if n:
            yield Cause(admin, "", GROUPING, "admin", "1 message sent", "", DATA, title_more="{n} messages sent"), n
