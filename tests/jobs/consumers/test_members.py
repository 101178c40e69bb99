"""Large conversations: each member is added once even after a kill, and everybody is sent one `conversation.created`."""

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.members import MembersConsumer
from jobs.drain.drain import drain
from models.chat import additions, conversation, views
from models.chat.conversation import MAX_ADDED_PER_TRANSACTION
from models.log import event
from models.store.database import rows
from models.sync import catchup
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar, send


def crowd(slices: int) -> tuple[int, list[int]]:
    """A conversation that some transactions of the drain are to fill; returns it and all of its members, the owner first."""
    users = people(*[f"user{n}" for n in range((slices + 1) * MAX_ADDED_PER_TRANSACTION)])
    with event.transaction() as tx:
        return additions.create_conversation(tx, users[0], users[1:], "Crowd"), users


def created_for(user: int) -> list[int]:
    """The conversations that the user's events say were created."""
    events = catchup.read(user, catchup.BEGINNING, {"conversation.created"}, 10).events
    return [msgspec.json.decode(found.data)["id"] for found in events]


def test_members_beyond_the_first_are_added_by_the_drain(store: Settings) -> None:
    number, users = crowd(2)
    owner, last = users[0], users[-1]
    [job] = additions.list_newest(10)
    assert (job["conversation"], job["state"], job["done"], job["total"]) == (number, "running", 0, 2 * MAX_ADDED_PER_TRANSACTION)
    assert views.conversation_view(owner, number).members_count == len(users)
    assert scalar("SELECT count(*) FROM memberships") == MAX_ADDED_PER_TRANSACTION
    (earlier,) = send(owner, at=number)
    for _ in range(2):
        drain(MembersConsumer())
    [job] = additions.list_newest(10)
    assert (job["state"], job["done"], job["total"]) == ("done", 2 * MAX_ADDED_PER_TRANSACTION, 2 * MAX_ADDED_PER_TRANSACTION)
    assert [created_for(user) for user in (owner, users[1], last)] == [[number]] * 3
    view = views.conversation_view(last, number)
    assert (view.members_count, len(view.members), view.unread) == (len(users), 50, 1)
    (later,) = send(owner, at=number)
    received = catchup.read(last, catchup.BEGINNING, {"message.created"}, 10).events
    assert [msgspec.json.decode(found.data)["id"] for found in received] == [later]
    assert earlier < later


def test_what_a_crowd_adds_to_the_log_is_small(store: Settings) -> None:
    _, users = crowd(9)
    drain(MembersConsumer())
    assert scalar("SELECT count(*) FROM memberships") == len(users)
    added = "SELECT sum(length(data)) FROM events WHERE stream='members' OR stream LIKE 'joining:%'"
    assert int(str(scalar(added))) < 20 * len(users)
    [created] = catchup.read(users[-1], catchup.BEGINNING, {"conversation.created"}, 10).events
    shown = msgspec.json.decode(created.data)
    assert ([member["user"]["id"] for member in shown["members"]], shown["members_count"]) == (users[:10], len(users))


def test_somebody_who_was_added_meanwhile_is_not_added_again(store: Settings) -> None:
    number, users = crowd(1)
    with event.transaction() as tx:
        conversation.add_member(tx, users[0], number, users[-1])
    drain(MembersConsumer())
    assert views.conversation_view(users[0], number).members_count == len(users)
    assert scalar("SELECT count(*) FROM memberships") == len(users)
    assert created_for(users[-1]) == [number]


def test_a_conversation_that_its_first_members_have_left_gets_an_owner(store: Settings) -> None:
    number, users = crowd(1)
    with event.transaction() as tx:
        for user in users[:MAX_ADDED_PER_TRANSACTION]:
            conversation.remove_member(tx, user, number, user)
    drain(MembersConsumer())
    owners = rows("SELECT user_id FROM memberships WHERE role='owner' AND to_event IS NULL")
    assert owners == [(users[MAX_ADDED_PER_TRANSACTION],)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_adds_everyone_exactly_once(store: Settings, when: str) -> None:
    number, users = crowd(4)
    drain(MembersConsumer(), lambda: True)  # its checkpoint is there
    killed_at(store, "tasks.drain_log(MembersConsumer())", 3, when)
    reached = additions.list_newest(1)[0]["done"]
    assert 0 < reached < 4 * MAX_ADDED_PER_TRANSACTION
    assert scalar("SELECT count(*) FROM memberships") == MAX_ADDED_PER_TRANSACTION + reached
    assert drain(MembersConsumer()).rows == 4 * MAX_ADDED_PER_TRANSACTION - reached, "it goes on from where it stopped"
    members = rows("SELECT user_id FROM memberships WHERE conversation_id=?", (number,))
    assert sorted(members) == [(user,) for user in sorted(users)]
    assert [created_for(user) for user in users[:: MAX_ADDED_PER_TRANSACTION // 2]] == [[number]] * 10
    assert additions.list_newest(1)[0]["state"] == "done"


def test_run_pending_adds_members(store: Settings) -> None:
    _, users = crowd(1)
    tasks.run_pending()
    assert scalar("SELECT count(*) FROM memberships") == len(users)
