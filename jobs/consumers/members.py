"""The consumer `members`: it adds the members of a large conversation, a few per transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from jobs.drain.consumer import Consumer, Written
from models.chat import additions
from models.chat.additions import AdditionProgress
from models.chat.conversation import MAX_ADDED_PER_TRANSACTION
from models.log.event import Event, Transaction


class AdditionPayload(msgspec.Struct, gc=False):
    """The event's data: the addition's id."""

    addition: int


decode_addition = msgspec.json.Decoder(AdditionPayload).decode


class MembersConsumer(Consumer):
    """Adds each user once: the number of those who are done moves in the transaction that adds them."""

    name: ClassVar[str] = "members"
    types: ClassVar[tuple[str, ...]] = (additions.REQUESTED,)
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False
    events_per_slice: ClassVar[int] = 1
    resumable: ClassVar[bool] = True

    def log_fields(self, event: Event) -> Mapping[str, int]:
        with contextlib.suppress(msgspec.MsgspecError):
            return {"job": decode_addition(event.data).addition}
        return {}

    def prepare(self, events: Sequence[Event]) -> Iterable[AdditionProgress]:
        for event in events:
            progress = additions.find_unfinished(decode_addition(event.data).addition)
            while progress is not None and progress.done < len(progress.users):
                yield progress
                progress = progress._replace(done=progress.done + MAX_ADDED_PER_TRANSACTION)

    def write(self, tx: Transaction, batch: AdditionProgress) -> Written:
        return Written(additions.add_next(tx, batch))
