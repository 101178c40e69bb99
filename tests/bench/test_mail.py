"""What the relay took, compared with what it should have."""

from bench.mail import sent
from bench.relay import Taken


def test_the_rate_is_from_the_first_mail_to_the_last() -> None:
    taken = [Taken(10.0, "a", 100), Taken(10.5, "b", 200), Taken(11.0, "c", 300)]
    assert sent(taken, ["a", "b", "c"]) == (2.0, 200.0, 0)


def test_a_mail_that_came_twice_and_one_that_never_came_are_both_wrong() -> None:
    assert sent([Taken(1.0, "a", 1), Taken(2.0, "a", 1)], ["a", "b"]).wrong == 2
    assert sent([], ["a"]).wrong == 1
