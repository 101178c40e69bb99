"""Check that every person received every message of theirs exactly once, in order and unaltered. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tests.journeys.replay.player import Sent


class Copy(msgspec.Struct, frozen=True):
    """A message as one person received it; `sender` is the user's id."""

    id: int
    conversation: int
    sender: int
    body: str


@dataclass
class Copies:
    """The number of expected copies, and of each kind of fault."""

    expected: int = 0
    lost: int = 0
    doubled: int = 0
    unexpected: int = 0
    altered: int = 0
    misplaced: int = 0

    @property
    def wrong(self) -> int:
        """The number of faults."""
        return self.lost + self.doubled + self.unexpected + self.altered + self.misplaced

    def compare(self, expected: Sequence[Copy], received: Sequence[Copy]) -> None:
        """Enter one person's copies of one conversation."""
        self.expected += len(expected)
        if expected == received:
            return
        counts, right = Counter(copy.id for copy in received), {copy.id: copy for copy in expected}
        self.lost += len(right.keys() - counts.keys())
        self.unexpected += len(counts.keys() - right.keys())
        self.doubled += sum(times - 1 for times in counts.values())
        first: dict[int, Copy] = {}
        for copy in received:
            if copy.id in right:
                first.setdefault(copy.id, copy)
        self.altered += sum(copy != right[copy.id] for copy in first.values())
        in_order = [copy.id for copy in expected if copy.id in counts]
        self.misplaced += sum(ours != theirs for ours, theirs in zip(in_order, first, strict=True))


def check_copies(sent: Iterable[Sent], received: Sequence[Sequence[Copy]], ids: Sequence[int]) -> Copies:
    """Compare: `sent` is in order within a pair, received[n] has the copies of person n in order, ids[n] is their user id."""
    expected = _by_conversation(
        (person, Copy(message.id, message.conversation, ids[message.sender], message.body))
        for message in sent
        for person in (message.sender, message.receiver)
    )
    got = _by_conversation((person, copy) for person, copies in enumerate(received) for copy in copies)
    result = Copies()
    for key in expected.keys() | got.keys():
        result.compare(expected.get(key, []), got.get(key, []))
    return result


def _by_conversation(copies: Iterable[tuple[int, Copy]]) -> Mapping[tuple[int, int], list[Copy]]:
    """Group by person and conversation, keeping the order."""
    groups: defaultdict[tuple[int, int], list[Copy]] = defaultdict(list)
    for person, copy in copies:
        groups[person, copy.conversation].append(copy)
    return groups


def counts_by_conversation(sent: Iterable[Sent]) -> dict[int, list[int]]:
    """Return, by person, the sorted numbers of messages received in each conversation, as notifications count them."""
    counts: defaultdict[int, list[int]] = defaultdict(list)
    for (person, _), count in Counter((message.receiver, message.conversation) for message in sent).items():
        counts[person].append(count)
    return {person: sorted(numbers) for person, numbers in counts.items()}
