"""Whether every person received every message of theirs exactly once, in order, to the letter. Pure functions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.player import Sent


class Copy(msgspec.Struct, frozen=True):
    """A message as somebody received it; `sender` is the user's id."""

    id: int
    conversation: int
    sender: int
    body: str


@dataclass
class Copies:
    """Copies that were expected, and what was wrong with those that came."""

    expected: int = 0
    lost: int = 0
    doubled: int = 0
    unexpected: int = 0
    altered: int = 0
    misplaced: int = 0

    @property
    def wrong(self) -> int:
        """How many faults there are."""
        return self.lost + self.doubled + self.unexpected + self.altered + self.misplaced

    def compare(self, expected: Sequence[Copy], received: Sequence[Copy]) -> None:
        """Enter one person's copies of one conversation."""
        self.expected += len(expected)
        if expected == received:
            return
        came, wanted = Counter(copy.id for copy in received), {copy.id: copy for copy in expected}
        self.lost += len(wanted.keys() - came.keys())
        self.unexpected += len(came.keys() - wanted.keys())
        self.doubled += sum(times - 1 for times in came.values())
        first: dict[int, Copy] = {}
        for copy in received:
            if copy.id in wanted:
                first.setdefault(copy.id, copy)
        self.altered += sum(copy != wanted[copy.id] for copy in first.values())
        in_order = [copy.id for copy in expected if copy.id in came]
        self.misplaced += sum(ours != theirs for ours, theirs in zip(in_order, first, strict=True))


def check_copies(sent: Iterable[Sent], received: Sequence[Sequence[Copy]], ids: Sequence[int]) -> Copies:
    """Compare; `sent` is in order within a pair, received[n] is what person n got in order, ids[n] is their user id."""
    expected = _by_place(
        (person, Copy(one.id, one.conversation, ids[one.sender], one.body)) for one in sent for person in (one.sender, one.receiver)
    )
    got = _by_place((person, copy) for person, copies in enumerate(received) for copy in copies)
    result = Copies()
    for place in expected.keys() | got.keys():
        result.compare(expected.get(place, []), got.get(place, []))
    return result


def _by_place(copies: Iterable[tuple[int, Copy]]) -> Mapping[tuple[int, int], list[Copy]]:
    """Group by person and conversation, keeping the order."""
    places: defaultdict[tuple[int, int], list[Copy]] = defaultdict(list)
    for person, copy in copies:
        places[person, copy.conversation].append(copy)
    return places


def counts_by_conversation(sent: Iterable[Sent]) -> dict[int, list[int]]:
    """Return, by person, how many messages they received in each conversation, sorted: what notifications count."""
    counts: defaultdict[int, list[int]] = defaultdict(list)
    for (person, _), count in Counter((one.receiver, one.conversation) for one in sent).items():
        counts[person].append(count)
    return {person: sorted(theirs) for person, theirs in counts.items()}
