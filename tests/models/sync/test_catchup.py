"""Catching up from the store: the cost of a slice is bounded, however many streams and intervals a user has."""

import pytest

from conf import Settings
from models.chat import conversation
from models.log import event
from models.log.event import Event
from models.sync import catchup
from tests.models.people import group, people, send

NOTHING = frozenset({"post.deleted"})


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements about events that catching up has run."""
    run: list[str] = []
    rows, number_rows = catchup.rows, catchup.number_rows
    monkeypatch.setattr(catchup, "rows", lambda sql, params: run.append(sql) or rows(sql, params))
    monkeypatch.setattr(catchup, "number_rows", lambda columns, sql, params: run.append(sql) or number_rows(columns, sql, params))
    return run


def read_all(user: int, types: frozenset[str] | None = None, limit: int = 200) -> tuple[list[Event], int]:
    """Return all events of a user, and the number of slices."""
    events, position, slices, more = list[Event](), 0, 0, True
    while more:
        part = catchup.read(user, position, types, limit)
        assert part.position > position
        events, position, more, slices = events + part.events, part.position, part.more, slices + 1
    return events, slices


def test_a_slice_of_many_conversations_takes_one_statement_a_hundred(store: Settings, statements: list[str]) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        crews = [conversation.create(tx, ana, [ben], f"Crew {n}") for n in range(250)]
    sent = [send(ana, at=crew) for crew in (*reversed(crews), *crews[:20])]
    first = catchup.read(ben, 0, frozenset({"message.created"}), 10)
    assert [e.type for e in first.events] == ["message.created"] * 10
    assert first.more
    expected = [e.id for e in read_all(ben, limit=1_000)[0]]
    assert len(expected) == len(crews) + len(sent)
    statements.clear()
    part = catchup.read(ben, 0, None, 20)
    assert [e.id for e in part.events] == expected[:20]
    assert len(statements) == 7, "501 streams (each crew's, and that of its joining) a hundred at a time, and the events"


def test_many_short_memberships_cost_no_more_than_one(store: Settings, statements: list[str]) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana)
    for n in range(60):
        send(ana, "unseen", at=crew)
        with event.transaction() as tx:
            conversation.add_member(tx, ana, crew, ben)
        send(ana, f"seen {n}", at=crew)
        with event.transaction() as tx:
            conversation.remove_member(tx, ana, crew, ben)
    statements.clear()
    part = catchup.read(ben, 0, None, 1_000)
    assert [e.type for e in part.events] == ["conversation.created", "member.joined", "message.created", "member.left"] * 60
    assert b"unseen" not in b"".join(e.data for e in part.events)
    assert not part.more
    assert sum("UNION ALL" in sql for sql in statements) == 1
    assert read_all(ben, limit=7)[0] == part.events


def test_a_slice_without_a_matching_event_ends_and_moves_on(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "MAX_SCANNED_EVENTS", 10)
    ana, ben = people("ana", "ben")
    for _ in range(35):
        send(ana, to=ben)
    part = catchup.read(ben, 0, NOTHING, 200)
    assert (part.events, part.more) == ([], True)
    assert 0 < part.position < event.head()
    assert read_all(ben, NOTHING) == ([], 4)
    assert len(read_all(ben, frozenset({"message.created"}))[0]) == 35


def test_a_slice_ends_after_a_number_of_bytes(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "MAX_SLICE_BYTES", 10_000)
    ana, ben = people("ana", "ben")
    for _ in range(10):
        send(ana, "x" * 4_000, to=ben)
    part = catchup.read(ben, 0, None, 200)
    assert part.more
    assert sum(len(e.data) for e in part.events) < 15_000
    events, slices = read_all(ben)
    assert len(events) == 11
    assert slices > 3
