"""Levels: which one a member has at a time."""

import pytest

from models.notices.levels import effective_level


@pytest.mark.parametrize(
    ("level", "until_ms", "members", "expected"),
    [
        (None, None, 2, "all"),
        (None, None, 50, "all"),
        (None, None, 51, "mentions"),
        ("all", None, 51, "all"),
        ("none", None, 2, "none"),
        ("none", 1001, 2, "none"),
        ("none", 1000, 2, "all"),
        ("none", 1000, 51, "mentions"),
        ("unknown", None, 2, "all"),
    ],
)
def test_a_level_that_has_ended_is_the_default_of_the_conversations_size(level, until_ms, members, expected):
    assert effective_level(level, until_ms, 1000, members) == expected
