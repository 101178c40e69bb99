"""Levels of members, and the unread messages that mention them."""

from typing import Any

import msgspec
import pytest

from models.chat import conversation, member_level, message, read_marks, views
from models.log import event
from models.notices.levels import Level
from models.store.database import engine, execute, rows
from models.store.errors import InvalidError, NotFoundError
from models.sync import initial_state
from tests.models.people import group, people, send

pytestmark = pytest.mark.usefixtures("store")


def set_level(user: int, crew: int, level: Level | None, until_ms: int | None = None) -> member_level.MemberLevel:
    with event.transaction() as tx:
        return member_level.set_level(tx, user, crew, level, until_ms)


def level_of(user: int, crew: int) -> tuple[str, str | None]:
    view = views.conversation_view(user, crew)
    return view.level, view.level_until


def updates(user: int) -> list[dict[str, Any]]:
    found = rows("SELECT data FROM events WHERE stream=? AND type='level.updated' ORDER BY id", (f"user:{user}",))
    return [msgspec.json.decode(data) for (data,) in found]


def test_a_level_is_the_members_own_until_it_is_set_again() -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    assert set_level(ana, crew, "none") == set_level(ana, crew, "none") == member_level.MemberLevel("none", None)
    assert (level_of(ana, crew), level_of(ben, crew)) == (("none", None), ("all", None))
    assert set_level(ana, crew, None).level == "all"
    assert updates(ana) == [{"conversation": crew, "level": level, "until": None} for level in ("none", "all")]
    assert updates(ben) == []


def test_a_level_ends_at_its_time() -> None:
    ana, *others = people("ana", *(f"user{n}" for n in range(50)))
    crew = group(ana, *others)
    now_ms = engine().now_ms()
    assert set_level(ana, crew, "none", now_ms + 60_000).until == level_of(ana, crew)[1]
    assert level_of(ana, crew)[0] == "none"
    with event.transaction():  # the store has a clock of its own
        execute("UPDATE memberships SET level_until_ms=? WHERE user_id=?", (now_ms, ana))
    assert level_of(ana, crew) == ("mentions", None), "51 members"


@pytest.mark.parametrize(("level", "until_ms"), [("none", 1), (None, 2**52)])
def test_until_is_a_time_to_come_of_a_level(level: Level | None, until_ms: int) -> None:
    ana, ben = people("ana", "ben")
    with pytest.raises(InvalidError, match="until"):
        set_level(ana, group(ana, ben), level, until_ms)


def test_others_than_members_have_no_level_and_who_comes_back_has_the_default() -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    crew = group(ana, ben)
    set_level(ben, crew, "none")
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ben)
    for user, number in ((cleo, crew), (ben, crew), (ana, 99)):
        with pytest.raises(NotFoundError):
            set_level(user, number, "all")
    with event.transaction() as tx:
        conversation.add_member(tx, ana, crew, ben)
    assert level_of(ben, crew) == ("all", None)


def test_what_is_created_has_the_default_of_its_size() -> None:
    users = people(*(f"user{n}" for n in range(51)))
    group(*users)
    group(*users[:50])
    created = [
        msgspec.json.decode(data) for (data,) in rows("SELECT data FROM events WHERE type='conversation.created' ORDER BY id")
    ]
    assert [(data["level"], data["unread"], data["mentions_unread"]) for data in created] == [("mentions", 0, 0), ("all", 0, 0)]


def test_the_total_of_unread_messages_leaves_out_those_of_level_none() -> None:
    ana, ben = people("ana", "ben")
    crew, muted = group(ana, ben), group(ana, ben)
    for where in (crew, crew, muted):
        send(ana, at=where)
    set_level(ben, muted, "none")
    state = initial_state.load(ben)
    assert {view.id: view.unread for view in state["conversations"]} == {crew: 2, muted: 1}
    assert state["unread_total"] == 2


def test_unread_mentions_are_of_the_member_or_of_all_and_of_messages_that_are_not_read() -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    crew = group(ana, ben, cleo)
    bodies = ("@ben", "@all and @ben", "no names", "@cleo", "@ben again")
    sent = [send(ana, body, at=crew) for body in bodies]
    send(ben, "@ben: a note", at=crew)

    def unread() -> list[int]:
        seen = [views.conversation_view(user, crew).mentions_unread for user in (ana, ben, cleo)]
        assert seen == [views.count_unread_mentions(user, crew) for user in (ana, ben, cleo)]
        return seen

    assert unread() == [0, 3, 2]
    with event.transaction() as tx:
        message.delete(tx, ana, "user", sent[0])
        message.edit(tx, ana, sent[3], "@ben and @cleo")
    assert unread() == [0, 3, 2]
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, crew, sent[3])
    ((data,),) = rows("SELECT data FROM events WHERE type='read.updated'")
    assert (msgspec.json.decode(data)["unread"], msgspec.json.decode(data)["mentions_unread"]) == (1, 1)
    assert unread() == [0, 1, 2]
    with event.transaction() as tx:
        read_marks.mark_unread(tx, ben, crew, sent[1])
    assert unread() == [0, 3, 2]


def test_a_member_who_joins_later_has_no_unread_mentions() -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    crew = group(ana, ben)
    send(ana, "@all", at=crew)
    with event.transaction() as tx:
        conversation.add_member(tx, ana, crew, cleo)
    assert views.conversation_view(cleo, crew).mentions_unread == 0
