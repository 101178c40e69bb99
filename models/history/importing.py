"""Importing: lines of another system's history are written in small transactions, which let others write in between.

`steps` yields what is to run in each transaction. What a line makes and the key by which it is known again are written together, so
an import that was killed goes on when it is run again, and a line that was imported changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

from models.chat.conversation import MAX_ADDED_PER_TRANSACTION
from models.history import conversations, marks, people
from models.history.import_keys import CONVERSATION, MESSAGE, USER
from models.history.lines import Line, Refused
from models.history.messages import MessageWriter
from models.history.written import Written
from models.log.event import Transaction

MAX_WEIGHT = 500  # of the lines of one transaction: 10 to 20 ms
MAX_BYTES = 512 * 1024  # of its lines
USER_WEIGHT, CONVERSATION_WEIGHT = 8, 16
TALK_WEIGHT = 16  # of each conversation that has messages in it: an event, and statements that move its members' marks

Step = Callable[[Transaction], Written | bool]


def steps(
    source: str, lines: Iterable[Line | Refused], total: Written, max_weight: int = MAX_WEIGHT
) -> Generator[Step, Written | bool, None]:
    """Yield each transaction's verb, and receive its result once it is committed. `total` counts what was done."""
    while (yield marks.move_next):  # of an import that was killed
        pass
    for part in _slices(lines, total, max_weight):
        written = yield partial(write, source, part)
        assert isinstance(written, Written)
        total.add(written)
        for group in written.growing:
            while (yield partial(conversations.add_next_members, conversation=group)):
                pass
    while (yield marks.move_next):
        pass


def write(source: str, lines: Sequence[Line], tx: Transaction) -> Written:
    """Write lines in their order, those of a kind that follow each other together."""
    written = Written()
    messages = MessageWriter(tx, source, written)
    for kind, part in groupby(lines, lambda line: line.kind):
        if kind == USER:
            people.write(tx, source, list(part), written)
        elif kind == CONVERSATION:
            conversations.write(tx, source, list(part), written)
        else:
            messages.write(list(part))
    messages.finish()
    return written


def _slices(lines: Iterable[Line | Refused], total: Written, max_weight: int) -> Iterator[list[Line]]:
    """Yield the lines of each transaction. A large group ends its transaction: its members are added before its messages."""
    part: list[Line] = []
    talks = set[str]()
    weight = size = 0
    for line in lines:
        if isinstance(line, Refused):
            total.refused.append(line)
            continue
        part.append(line)
        if line.kind == MESSAGE and line.content.conversation not in talks:
            talks.add(line.content.conversation)
            weight += TALK_WEIGHT
        weight, size = weight + _weight(line), size + line.size
        is_large = line.kind == CONVERSATION and len(line.content.members) > MAX_ADDED_PER_TRANSACTION
        if is_large or weight >= max_weight or size >= MAX_BYTES:
            yield part
            part, talks, weight, size = [], set(), 0, 0
    if part:
        yield part


def _weight(line: Line) -> int:
    if line.kind == MESSAGE:
        return 1 + len(line.content.read_by or ())
    return USER_WEIGHT if line.kind == USER else CONVERSATION_WEIGHT + min(len(line.content.members), MAX_ADDED_PER_TRANSACTION)
