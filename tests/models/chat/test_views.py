"""Views of conversations: the number of SQL statements does not depend on the number of conversations."""

import operator
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import time_machine

from conf import Settings
from models.chat import blocks, message, read_marks, views
from models.log import event
from models.store.database import engine
from models.sync import initial_state
from tests.models.people import group, people, send


def statements(run: Callable[[], object]) -> int:
    """Return how many statements a function runs, including Peewee's queries."""
    store, name = (engine().db, "execute_sql") if engine().name == "sqlite" else (engine(), "execute")
    execute, count = getattr(store, name), 0

    def counted(sql: str, params: Sequence[Any] = ()) -> Any:
        nonlocal count
        count += 1
        return execute(sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, name, counted)
        run()
    return count


@pytest.mark.parametrize("load", [lambda user: initial_state.load(user), lambda user: views.conversation_list(user, None, 200)])
def test_more_conversations_need_no_more_statements(store: Settings, load: Callable[[int], object]) -> None:
    ana, ben, cy = people("ana", "ben", "cy")

    def make(count: int) -> None:
        for number in range(count):
            crew = group(ana, ben, cy, title=f"Crew {number}")
            send(ben, at=crew)

    make(5)
    statements_for_five = statements(lambda: load(ana))
    make(195)
    assert statements(lambda: load(ana)) == statements_for_five


def test_a_large_group_shows_its_first_members_and_a_count(store: Settings) -> None:
    users = people(*(f"user{n}" for n in range(60)))
    large, small = group(*users), group(*users[:50])
    by_id = {view.id: view for view in views.conversation_views(users[0], [large, small])}
    assert (len(by_id[large].members), by_id[large].members_count) == (50, 60)
    assert (views.peers([users[59]]), len(views.peers([users[1]])[users[1]])) == ({}, 49), "presence is for small ones"
    assert (len(by_id[small].members), by_id[small].members_count) == (50, None)
    sent = send(users[0], at=large)
    with event.transaction() as tx:
        read_marks.mark_read(tx, users[59], large, sent)
    assert [views.conversation_view(user, large).read for user in (users[59], users[0])] == [sent, None]


def test_unread_counts_undeleted_messages_of_others_after_the_read_mark(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    sent = [send(ana, at=crew) for _ in range(5)]
    send(ben, at=crew)
    assert views.count_unread(ben, crew) == 5
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, sent[1]) == 3
        message.delete(tx, ana, "user", sent[3])
    assert views.count_unread(ben, crew) == 2
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, sent[0]) == 2, "a mark never goes back"
    assert views.conversation_view(ben, crew).unread == 2
    assert views.conversation_view(ana, crew).unread == 1


def test_messages_that_are_marked_as_unread_are_so_for_the_user_alone(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    sent = [send(ana, at=crew) for _ in range(4)]

    def mark(message: int, *, unread: bool) -> tuple[int, list[tuple[str, int, int]], int | None, int | None]:
        """Return the unread messages, the events, and the mark of Ben as he and as Ana see it."""
        with event.transaction() as tx:
            left = (read_marks.mark_unread if unread else read_marks.mark_read)(tx, ben, crew, message)
            events = [(e.stream, *operator.itemgetter("message", "unread")(msgspec.json.decode(e.data))) for e in tx.events]
        assert left == views.count_unread(ben, crew) == views.conversation_view(ben, crew).unread
        assert views.conversation_view(ben, crew).read == next(
            m.read for m in views.conversation_view(ben, crew).members if m.user.id == ben
        )
        own, others = (next(m.read for m in views.conversation_view(user, crew).members if m.user.id == ben) for user in (ben, ana))
        return left, events, own, others

    all_read = event.conversation_stream(crew)
    own = event.user_stream(ben)
    assert mark(sent[2], unread=False) == (1, [(all_read, sent[2], 1)], sent[2], sent[2])
    assert mark(sent[3], unread=True) == (1, [], sent[2], sent[2]), "it is unread already"
    assert mark(sent[1], unread=True) == (3, [(own, sent[0], 3)], sent[0], sent[2])
    assert mark(sent[2], unread=True) == (3, [], sent[0], sent[2]), "marking as unread reads nothing"
    assert mark(sent[0], unread=True) == (4, [(own, 0, 4)], None, sent[2])
    assert mark(sent[1], unread=False) == (2, [(own, sent[1], 2)], sent[1], sent[2])
    assert mark(sent[0], unread=False) == (2, [], sent[1], sent[2]), "a mark never goes back by reading"
    assert mark(sent[2], unread=False) == (1, [(own, sent[2], 1)], sent[2], sent[2])
    assert mark(sent[0], unread=True)[0] == 4
    assert mark(sent[3], unread=False) == (0, [(all_read, sent[3], 0)], sent[3], sent[3])
    assert views.conversation_view(ana, crew).unread == 0


def test_a_conversation_that_moves_between_two_pages_is_not_missing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crews = [group(ana, ben, title=f"Crew {number}") for number in range(61)]
    for crew in crews:
        send(ben, at=crew)
    seen: list[int] = []
    position = None
    for moved in (crews[5], crews[55], crews[20]):
        page = views.conversation_list(ana, position, 25)
        position = page[-1][0]
        seen += [view.id for _, view in page]
        send(ben, at=moved)
        group(ana, ben, title="Made meanwhile")
    assert seen == crews[::-1]
    assert [view.id for _, view in views.conversation_list(ana, None, 6)][1::2] == [crews[20], crews[55], crews[5]]


def test_conversations_are_in_the_order_of_the_log_when_the_clock_is_set_back(store: Settings, one_clock: None) -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    with time_machine.travel(timedelta(hours=1)):
        send(ben, to=ana)
        empty = group(ana, ben)
    send(cy, to=ana)
    newest = group(ana, cy)
    kinds = [(view.id, view.kind) for view in initial_state.load(ana)["conversations"]]
    assert [kind for _, kind in kinds] == ["group", "direct", "group", "direct"]
    assert (kinds[0][0], kinds[2][0]) == (newest, empty)


def test_a_change_of_presence_is_announced_to_a_bounded_number_of_peers(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, *others = people("ana", *(f"user{n}" for n in range(8)))
    for members in (others[:3], others[3:4], others[4:6], others[6:8]):
        group(ana, *members)
    found = views.peers([ana, others[0]])
    assert {user: sorted(peers) for user, peers in found.items()} == {ana: others, others[0]: [ana, *others[1:3]]}
    monkeypatch.setattr(views, "MAX_PEERS", 3)
    assert sorted(views.peers([ana])[ana]) == [others[3], *others[6:8]], (
        "the smallest conversations, and the newest of the same size"
    )


def test_a_blocked_peer_is_announced_nothing(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    group(ana, ben, cleo)
    with event.transaction() as tx:
        blocks.block(tx, ana, ben)
    assert {user: sorted(peers) for user, peers in views.peers([ana, ben]).items()} == {ana: [cleo], ben: [ana, cleo]}
