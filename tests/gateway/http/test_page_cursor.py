import asyncio
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import page_cursor
from gateway.http.base import MAX_ASSEMBLED_BYTES, MAX_ITEMS_PER_FIRST_READ, Handler
from gateway.http.page_cursor import IdPosition, Integer
from tests.gateway.client import Client, fields


class Position(NamedTuple):
    """A position in a list that is sorted by a number and a text."""

    number: Integer
    text: str


INTEGERS = st.integers(0, 2**62)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(number=INTEGERS, text=TEXTS)
def test_a_cursor_decodes_to_its_position_and_needs_no_escaping_in_a_query(number: int, text: str) -> None:
    cursor = page_cursor.encode((number, text))

    assert page_cursor.decode(cursor, Position) == (number, text)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)


@given(cursor=st.text())
def test_any_text_that_is_not_a_cursor_is_a_value_error(cursor: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        page_cursor.decode(cursor, Position)


@given(id=INTEGERS, data=st.data())
def test_a_damaged_cursor_is_a_value_error_or_another_position(id: int, data: st.DataObject) -> None:
    cursor = page_cursor.encode((id,))
    cut = cursor[: data.draw(st.integers(0, len(cursor) - 1))]
    index = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:index] + data.draw(st.characters()) + cursor[index + 1 :]

    for damaged in (cut, changed):
        try:
            position = page_cursor.decode(damaged, IdPosition)
        except ValueError:
            continue
        assert 0 <= position.id <= 2**62


@pytest.mark.parametrize("position", [(), (1,), (1, "a", 2), ("1", "a"), (-1, "a"), (2**62 + 1, "a"), (1, None), (1.5, "a")])
def test_a_cursor_of_another_list_is_a_value_error(position: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        page_cursor.decode(page_cursor.encode(position), Position)


def listed(count: int, rest: IdPosition | None, assembled_bytes: int = 0) -> Any:
    """Return the answer with up to 50 of so many items."""

    async def read(after: IdPosition | None, wanted: int) -> list[tuple[IdPosition, int]]:
        start = after.id if after is not None else 0
        return [(IdPosition(number), number) for number in range(start + 1, count + 1)][:wanted]

    answers: list[bytes] = []
    handler = Handler.__new__(Handler)
    handler.services = SimpleNamespace(assembled_bytes=assembled_bytes)  # type: ignore[assignment]
    handler.answer = answers.append  # type: ignore[assignment,method-assign]
    asyncio.run(handler.answer_list(read, None, 50, rest))
    return msgspec.json.decode(answers[0])


@pytest.mark.parametrize(("count", "position"), [(0, (7,)), (3, (7,)), (60, (50,))])
def test_a_list_that_was_not_read_to_its_end_has_a_next_page(count: int, position: tuple[int]) -> None:
    answered = listed(count, IdPosition(7))
    assert answered == {"items": list(range(1, min(count, 50) + 1)), "next": page_cursor.encode(position)}


def test_a_list_that_would_wait_with_too_many_others_ends_with_the_items_it_has() -> None:
    few = list(range(1, MAX_ITEMS_PER_FIRST_READ + 1))
    answered = listed(60, None, assembled_bytes=MAX_ASSEMBLED_BYTES)
    assert answered == {"items": few, "next": page_cursor.encode((few[-1],))}
    assert listed(len(few), None, assembled_bytes=MAX_ASSEMBLED_BYTES) == {"items": few, "next": None}


LISTS = ("/conversations", "/groups", "/me/sessions", "/notifications", "/posts", "/users", "/search/messages")


@pytest.mark.parametrize("path", LISTS)
def test_an_invalid_page_cursor_is_refused_by_every_list(ana: Client, path: str) -> None:
    for page in ("", "x", "-1", "1.2", "²", "9" * 17, "WzEsMl0_", "WyJhIl0", "bnVsbA", "Wy0xXQ", "é"):
        assert fields(ana.get(path, q="a", page=page)) == ["page"], page
