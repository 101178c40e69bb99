"""What admins watch: one unread notification each, which grows with the activity since they last read it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from jobs.consumers.activity import MESSAGE_SENT
from jobs.drain.consumer import Consumer, Written
from jobs.rules.decisions import NOTIFIED, Content, decide
from jobs.rules.facts import Facts, with_receivers
from jobs.rules.payloads import USER_ACTIVITY, USER_CREATED, USER_STATUS, ActivityPayload, MessagePayload, StatusPayload, payload_of
from jobs.rules.rules import WATCHES, count_watched
from models.identity.user import active_admins
from models.log.event import Event, Transaction
from models.notices.causes import Cause
from models.notices.counts import PreparedUpdate, prepare, write_prepared
from models.store.clock import now_ms

Counted = tuple[list[tuple[Cause, int]], list[PreparedUpdate]]
Acts = Mapping[str, Mapping[int, int]]  # watch -> who acted -> how often


def counts_of(events: Iterable[Event]) -> Acts:
    """Who did what how often."""
    acts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        match payload_of(event):
            case MessagePayload() as act:
                acts[MESSAGE_SENT][act.sender] += 1
            case StatusPayload() as act:
                acts[USER_STATUS][act.by] += len(act.users)
            case ActivityPayload() as act:
                acts[USER_ACTIVITY][act.user or act.by] += 1
            case act:
                acts[USER_CREATED][act.user] += 1
    return acts


class AdminWatchConsumer(Consumer):
    """Adds up what was done, once a second for all admins together, however much it is.

    A count carries no trace of what went into it, so nothing could tell afterwards that a slice was counted twice. It isn't,
    since the checkpoint moves in the transaction that adds: either both happen or neither. Hence one part for all admins.
    """

    name: ClassVar[str] = "watch"
    types: ClassVar[tuple[str, ...]] = ("message.created", USER_CREATED, USER_STATUS, USER_ACTIVITY)
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False  # one sum for all
    events_per_slice: ClassVar[int] = 5_000
    max_slices_per_run: ClassVar[int | None] = 1
    min_interval_ms: ClassVar[int] = 1_000

    def prepare(self, events: Sequence[Event]) -> Iterable[Counted]:
        admins = active_admins()
        facts = with_receivers(Facts(now_ms()), [admin for admin, _ in admins])
        counted = list(_counted(admins, counts_of(events), facts))
        return [(counted, prepare(counted))] if counted else []

    def write(self, tx: Transaction, part: Counted) -> Written:
        return Written(*write_prepared(tx, *part))


def _counted(admins: Iterable[tuple[int, str]], acts: Acts, facts: Facts) -> Iterator[tuple[Cause, int]]:
    for admin, chosen in admins:
        for watch, by in acts.items():
            n = count_watched(admin, chosen, watch, by)
            cause = _cause(admin, watch, facts) if n else None
            if cause is not None:
                yield cause, n


def _cause(admin: int, watch: str, facts: Facts) -> Cause | None:
    content = Content(None, "", f"watch:{watch}", msgspec.json.encode({"action": watch}), {})
    decision = decide("admin", content, admin, None, facts)
    in_app = decision.in_app is NOTIFIED
    if not in_app and decision.mail_ms is None:
        return None
    said = (WATCHES[watch], content.values, content.data)
    return Cause(admin, content.cause, content.grouping, "admin", *said, in_app=in_app, mail_ms=decision.mail_ms)
