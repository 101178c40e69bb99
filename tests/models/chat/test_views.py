"""What a client starts from costs the same few statements however much there is."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from conf import Settings
from models.chat import message, read_marks, views
from models.log import event
from models.store.database import engine
from models.sync import initial_state
from tests.models.people import group, people, send


def statements(run: Callable[[], object]) -> int:
    """How many statements are run meanwhile, Peewee's queries included."""
    store, name = (engine().db, "execute_sql") if engine().name == "sqlite" else (engine(), "execute")
    execute, seen = getattr(store, name), 0

    def counted(sql: str, params: Sequence[Any] = ()) -> Any:
        nonlocal seen
        seen += 1
        return execute(sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, name, counted)
        run()
    return seen


@pytest.mark.parametrize("first", [lambda user: initial_state.load(user), lambda user: views.conversation_list(user, None, 200)])
def test_more_conversations_cost_no_more_statements(store: Settings, first: Callable[[int], object]) -> None:
    ana, ben, cy = people("ana", "ben", "cy")

    def make(count: int) -> None:
        for number in range(count):
            crew = group(ana, ben, cy, title=f"Crew {number}")
            send(ben, at=crew)

    make(5)
    few = statements(lambda: first(ana))
    make(195)
    assert statements(lambda: first(ana)) == few


def test_a_large_group_shows_its_first_members_and_a_count(store: Settings) -> None:
    users = people(*(f"user{n}" for n in range(60)))
    large, small = group(*users), group(*users[:50])
    shown = {view.id: view for view in views.conversation_views(users[0], [large, small])}
    assert (len(shown[large].members), shown[large].members_count) == (50, 60)
    assert (len(shown[small].members), shown[small].members_count) == (50, None)


def test_unread_is_what_others_said_past_the_mark_and_did_not_delete(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    said = [send(ana, at=crew) for _ in range(5)]
    send(ben, at=crew)
    assert views.count_unread(ben, crew) == 5
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, said[1]) == 3
        message.delete(tx, ana, "user", said[3])
    assert views.count_unread(ben, crew) == 2
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, said[0]) == 2, "a mark never goes back"
    assert views.conversation_view(ben, crew).unread == 2
    assert views.conversation_view(ana, crew).unread == 1
