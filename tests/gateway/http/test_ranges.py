"""Parts of files that requests name, against a reading of RFC 9110 that counts bytes one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import ranges
from gateway.http.errors import ProblemError
from gateway.http.ranges import Span

SIZES = st.integers(0, 30)
POSITIONS = st.integers(0, 40)


def part(header: str, size: int) -> list[int] | None:
    """The positions that a header names, None for all; empty if there are none to send."""
    try:
        span = ranges.requested(header, size)
    except ProblemError as error:
        return [] if (error.status, error.headers) == (416, {"Content-Range": f"bytes */{size}"}) else [-1]
    return None if span is None else list(range(span.start, span.start + span.length))


@given(first=POSITIONS, last=POSITIONS, size=SIZES)
def test_a_range_names_the_bytes_from_its_first_to_its_last(first: int, last: int, size: int) -> None:
    expected = [position for position in range(size) if first <= position <= last]
    assert part(f"bytes={first}-{last}", size) == (None if last < first else expected)


@given(first=POSITIONS, size=SIZES)
def test_a_range_without_an_end_goes_to_the_last_byte(first: int, size: int) -> None:
    assert part(f"bytes={first}-", size) == [position for position in range(size) if position >= first]


@given(length=POSITIONS, size=SIZES)
def test_a_suffix_names_the_last_bytes(length: int, size: int) -> None:
    expected = list(range(size))[-length:] if length else []
    assert part(f"bytes=-{length}", size) == (None if length and not size else expected)


@given(st.text("bytes=-,0123456789 \t", max_size=20), SIZES)
def test_what_is_malformed_is_ignored(header: str, size: int) -> None:
    positions = part(header, size)
    assert positions is None or positions == sorted(set(positions) & set(range(size)))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=5-3",
        "bytes=+1-2",
        "bytes=1-2x",
        "bytes=\N{ARABIC-INDIC DIGIT ONE}-",
    ],
)
def test_other_units_and_several_ranges_are_ignored(header: str) -> None:
    assert ranges.requested(header, 10) is None


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-" + "9" * 5000, Span(0, 10)),
        ("bytes=" + "0" * 5000 + "1-2", Span(1, 2)),
        ("Bytes= 3-4 ", Span(3, 2)),
        ("bytes=-" + "9" * 5000, Span(0, 10)),
    ],
)
def test_numbers_may_be_long(header: str, span: Span) -> None:
    assert ranges.requested(header, 10) == span
    assert part("bytes=" + "9" * 5000 + "-", 10) == []


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [(None, True), ('"a"', True), ('W/"a"', False), ('"b"', False), ("Mon, 30 Nov 2026 14:00:00 GMT", False)],
)
def test_a_range_counts_for_the_same_content(if_range: str | None, expected: bool) -> None:
    assert ranges.is_of_same_content(if_range, '"a"') == expected
