"""The consumer `members`: it adds the members of a large conversation, a few per transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from jobs.drain.consumer import JobConsumer, Written
from models.chat import additions
from models.chat.additions import AdditionProgress
from models.chat.conversation import MAX_ADDED_PER_TRANSACTION
from models.log.event import Event, Transaction


class AdditionPayload(msgspec.Struct, gc=False):
    """The event's data: the addition's id."""

    addition: int


decode_addition = msgspec.json.Decoder(AdditionPayload).decode


class MembersConsumer(JobConsumer):
    """Adds each user once: the number of those who are done moves in the transaction that adds them."""

    name: ClassVar[str] = "members"
    types: ClassVar[tuple[str, ...]] = (additions.REQUESTED,)

    def job_of(self, event: Event) -> int:
        return decode_addition(event.data).addition

    def prepare(self, events: Sequence[Event]) -> Iterable[AdditionProgress]:
        for event in events:
            progress = additions.find_unfinished(self.job_of(event))
            while progress is not None and progress.done < len(progress.users):
                yield progress
                progress = progress._replace(done=progress.done + MAX_ADDED_PER_TRANSACTION)

    def write(self, tx: Transaction, batch: AdditionProgress) -> Written:
        return Written(additions.add_next(tx, batch))
