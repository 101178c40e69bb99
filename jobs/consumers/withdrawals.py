"""The consumer `withdrawals`: it takes back the notifications of deleted messages that nothing else is left of.

In a small conversation the delete has done so (models/notices/withdrawals.py). In a large one, the members are walked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from jobs.drain.consumer import Consumer, Written
from jobs.rules.payloads import payload_of
from models.log.event import Event, Transaction
from models.notices import pushes, withdrawals
from models.notices.withdrawals import UnreadInterval
from models.store.database import chunks

MEMBERS_PER_READ = 500
NOTIFICATIONS_PER_TRANSACTION = 25  # each writes some rows and an event
PUSHES_PER_TRANSACTION = 100


class ShownPushes(NamedTuple):
    """Pushes that show the text of a deleted message."""

    ids: list[int]


class WithdrawalsConsumer(Consumer):
    """Marks notifications as read that count nothing, and recalls pushes that show a deleted text. A notification that counts
    something again when it is written is left alone, so a slice may be done again."""

    name: ClassVar[str] = "withdrawals"
    types: ClassVar[tuple[str, ...]] = ("message.deleted",)
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False

    def prepare(self, events: Sequence[Event]) -> Iterator[list[UnreadInterval] | ShownPushes]:
        newest: dict[int, int] = {}  # conversation -> the newest message of it that was deleted
        deletions = list(map(payload_of, events))
        for deleted in deletions:
            newest[deleted.conversation] = max(deleted.id, newest.get(deleted.conversation, 0))
        for conversation, message in newest.items():
            yield from chunks(_empty(conversation, message), NOTIFICATIONS_PER_TRANSACTION)
        yield from map(ShownPushes, chunks(pushes.showing([deleted.id for deleted in deletions]), PUSHES_PER_TRANSACTION))

    def write(self, tx: Transaction, batch: list[UnreadInterval] | ShownPushes) -> Written:
        if isinstance(batch, ShownPushes):
            return Written(pushes.recall_shown(tx, batch.ids))
        empty = withdrawals.find_empty(batch)
        withdrawals.withdraw_empty(tx, empty)
        return Written(len(empty))


def _empty(conversation: int, message: int) -> Iterator[UnreadInterval]:
    after = 0
    while members := withdrawals.list_members(conversation, after, MEMBERS_PER_READ):
        yield from withdrawals.find_empty(withdrawals.find_unread(conversation, message, members))
        after = members[-1]
