"""Announcements: each receiver is notified once even after a kill, and the progress is known."""

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.announcements import RECEIVERS_PER_READ, RECEIVERS_PER_TRANSACTION, AnnouncementConsumer
from jobs.drain.drain import drain
from models.log import event
from models.notices import announcement, notification, preference
from models.notices.announcement import AnnouncementContent
from models.notices.preference import Choice
from models.store.database import execute, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar


def announce(role: str | None = "user", users: list[int] | None = None, kind: str = "system") -> int:
    what = AnnouncementContent(1, role if users is None else None, users, kind, "Down on Sunday", "At noon.", b'{"link":"/status"}')
    with event.transaction() as tx:
        return announcement.create(tx, what)


def test_each_active_user_of_the_role_is_notified_once(store: Settings) -> None:
    ana, ben, gone = people("ana", "ben", "gone")
    [root] = people("root", role="admin")
    execute("UPDATE users SET status='suspended' WHERE id=?", (gone,))
    number = announce()
    for _ in range(2):
        drain(AnnouncementConsumer())
    for user in (ana, ben):
        [one] = notification.list_page(user, None, None, 10, unread_only=True)
        assert (one["type"], one["title"], one["body"], one["count"]) == ("system", "Down on Sunday", "At noon.", 1)
        assert msgspec.json.decode(one["data"]) == {"link": "/status"}
        [seen] = rows("SELECT data FROM events WHERE type='notification.created' AND stream=?", (f"user:{user}",))
        assert msgspec.json.decode(seen[0]) == msgspec.json.decode(msgspec.json.encode(one))
    assert [notification.unread_count(user) for user in (gone, root)] == [0, 0]
    [job] = announcement.list_newest(10)
    assert (job["job"], job["state"], job["done"], job["total"]) == (number, "done", 2, 2)


def test_named_users_of_any_role_are_notified_if_active(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    [root] = people("root", role="admin")
    announce(users=[root, ana, ana, 999])
    drain(AnnouncementConsumer())
    assert [notification.unread_count(user) for user in (ana, ben, root)] == [1, 0, 1]


def test_preferences_are_respected(store: Settings) -> None:
    ana, ben, eve, kim = people("ana", "ben", "eve", "kim")
    choices = {ana: Choice(True, "instant"), ben: Choice(False, "daily"), eve: Choice(False, "off"), kim: Choice(True, "off")}
    with event.transaction() as tx:
        for user, choice in choices.items():
            preference.set_choices(tx, user, {"system": choice})
    announce()
    drain(AnnouncementConsumer())
    assert [notification.unread_count(user) for user in choices] == [1, 0, 0, 1]
    assert rows("SELECT receiver FROM emails") == [(ana,)]
    assert rows("SELECT user_id FROM waiting_mail") == [(ben,)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_leaves_everyone_exactly_one(store: Settings, when: str) -> None:
    users = people(*[f"user{n}" for n in range(RECEIVERS_PER_READ + 1)])
    announce()
    drain(AnnouncementConsumer(), lambda: True)  # its checkpoint is there
    killed_at(store, "tasks.drain_log(AnnouncementConsumer())", 4, when)
    [job] = announcement.list_newest(1)
    reached = job["done"]
    assert job["state"] == "running"
    assert 0 < reached < len(users)
    assert scalar("SELECT count(*) FROM notifications") == reached
    assert drain(AnnouncementConsumer()).rows == len(users) - reached + 1, "it goes on from where it stopped"
    assert scalar("SELECT count(DISTINCT user_id) FROM notifications") == scalar("SELECT count(*) FROM notifications") == len(users)
    assert scalar("SELECT count(DISTINCT stream) FROM events WHERE type='notification.created'") == len(users)
    assert announcement.list_newest(1)[0]["done"] == len(users)


def test_it_stops_between_two_batches_and_the_next_run_goes_on(store: Settings) -> None:
    people(*[f"user{n}" for n in range(3 * RECEIVERS_PER_TRANSACTION)])
    announce()
    stops = iter([False, False, True])
    first = drain(AnnouncementConsumer(), lambda: next(stops, True))
    assert (first.has_more, scalar("SELECT count(*) FROM notifications")) == (True, RECEIVERS_PER_TRANSACTION)
    assert drain(AnnouncementConsumer()).has_more is False
    assert scalar("SELECT count(*) FROM notifications") == 3 * RECEIVERS_PER_TRANSACTION


def test_run_pending_sends_announcements(store: Settings) -> None:
    users = people(*[f"user{n}" for n in range(2 * RECEIVERS_PER_TRANSACTION)])
    announce()
    tasks.run_pending()
    assert scalar("SELECT count(*) FROM notifications WHERE type='system'") == len(users)
