"""The replay's checks find every kind of fault."""

import pytest

from tests.journeys.replay.exactness import Copies, Copy, check_copies, counts_by_conversation
from tests.journeys.replay.player import Sent

IDS = [100, 101]  # user ids of persons 0 and 1
SENT = [Sent(number, 7, number % 2, 1 - number % 2, f"body {number}", 0.0, 0.0) for number in range(1, 5)]
RIGHT = [Copy(one.id, 7, IDS[one.sender], one.body) for one in SENT]


def check(copies: list[Copy]) -> Copies:
    """Person 0 got `copies`, person 1 what is right."""
    return check_copies(SENT, [copies, RIGHT], IDS)


def test_what_everybody_received_once_and_in_order_is_right() -> None:
    assert check(RIGHT) == Copies(expected=8)


@pytest.mark.parametrize(
    ("copies", "fault"),
    [
        (RIGHT[1:], {"lost": 1}),
        ([], {"lost": 4}),
        ([RIGHT[0], *RIGHT], {"doubled": 1}),
        ([*RIGHT, RIGHT[0]], {"doubled": 1}),
        ([*RIGHT, Copy(9, 7, 100, "x")], {"unexpected": 1}),
        ([*RIGHT, Copy(9, 8, 100, "x")], {"unexpected": 1}),
        ([*RIGHT[:3], Copy(4, 7, 100, "body 4 ")], {"altered": 1}),
        ([*RIGHT[:3], Copy(4, 7, 101, "body 4")], {"altered": 1}),
        ([RIGHT[1], RIGHT[0], *RIGHT[2:]], {"misplaced": 2}),
    ],
)
def test_each_fault_is_counted_as_what_it_is(copies: list[Copy], fault: dict[str, int]) -> None:
    found = check(copies)
    assert found == Copies(expected=8, **fault)
    assert found.wrong == sum(fault.values())


def test_notifications_count_what_others_sent_in_each_conversation() -> None:
    elsewhere = Sent(9, 8, 1, 0, "hello", 0.0, 0.0)
    assert counts_by_conversation([*SENT, elsewhere]) == {0: [1, 2], 1: [2]}
