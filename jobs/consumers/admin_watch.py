"""The consumer `watch`: each admin has one unread notification per watch, whose count grows with the activity."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from jobs.consumers.activity import MESSAGE_SENT
from jobs.drain.consumer import Consumer, Written
from jobs.rules import watches
from jobs.rules.decisions import Content, cause_with, decide
from jobs.rules.facts import Facts, with_receivers
from jobs.rules.payloads import (
    REPORT_CREATED,
    USER_ACTIVITY,
    USER_CREATED,
    USER_STATUS,
    ActivityPayload,
    MessagePayload,
    NewUserPayload,
    ReportPayload,
    StatusPayload,
    payload_of,
)
from jobs.rules.precedence import Case
from models.identity.user import active_admins
from models.log.event import Event, Transaction
from models.notices.causes import Cause
from models.notices.counts import PreparedUpdate, prepare, write_prepared
from models.store.database import engine

Counted = tuple[list[tuple[Cause, int]], list[PreparedUpdate]]  # what to count, and how the unread notifications will look after it
ActCounts = Mapping[str, Mapping[int, int]]  # watch -> user -> number of acts


def count_acts(events: Iterable[Event]) -> ActCounts:
    """Count what each user did in these events, by watch."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        match payload_of(event):
            case MessagePayload() as message:
                counts[MESSAGE_SENT][message.sender] += 1
            case StatusPayload() as status:
                counts[USER_STATUS][status.by] += len(status.users)
            case ReportPayload() as report:
                counts[REPORT_CREATED][report.reporter] += 1
            case ActivityPayload() as activity:
                counts[USER_ACTIVITY][activity.user or activity.by] += 1
            case NewUserPayload() as new:
                counts[USER_CREATED][new.user] += 1
    return counts


class AdminWatchConsumer(Consumer):
    """Adds the activity of a slice to all admins' counts, once a second.

    A count does not show what went into it, so nothing could find out later that a slice was counted twice. The checkpoint
    therefore moves in the transaction that adds the counts, and one batch has all admins.
    """

    name: ClassVar[str] = "watch"
    types: ClassVar[tuple[str, ...]] = ("message.created", USER_CREATED, USER_STATUS, REPORT_CREATED, USER_ACTIVITY)
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False  # one sum for all streams
    events_per_slice: ClassVar[int] = 5_000
    max_slices_per_run: ClassVar[int | None] = 1
    min_interval_ms: ClassVar[int] = 1_000

    def prepare(self, events: Sequence[Event]) -> Iterable[Counted]:
        admins = active_admins()
        facts = with_receivers(Facts(engine().now_ms()), [admin for admin, _ in admins])
        counted = list(_causes(admins, count_acts(events), facts))
        return [(counted, prepare(counted))] if counted else []

    def write(self, tx: Transaction, batch: Counted) -> Written:
        return Written(*write_prepared(tx, *batch))


def _causes(admins: Iterable[tuple[int, str]], counts: ActCounts, facts: Facts) -> Iterator[tuple[Cause, int]]:
    """The causes for all admins (id, watches as stored), each with the number of acts that it adds."""
    for admin, stored in admins:
        for watch, count_by_user in counts.items():
            count = watches.count_for(admin, stored, watch, count_by_user)
            cause = _cause(admin, watch, facts) if count else None
            if cause is not None:
                yield cause, count


def _cause(admin: int, watch: str, facts: Facts) -> Cause | None:
    content = Content(None, "", f"watch:{watch}", msgspec.json.encode({"action": watch}), {})
    return cause_with("admin", watches.WATCHES[watch], content, decide("admin", content, Case(admin), facts))
