"""The rows of pushes: several wishes about one subject become one, and what was read is recalled."""

from conf import Settings
from models.log import event
from models.notices import pushes, quiet_hours
from models.notices.push_subscriptions import PushSubscription
from models.notices.pushes import NewPush, Push
from models.notices.schedule import AT_ONCE
from models.store.database import execute, rows
from tests.models.people import people, subscribe

HOUR_MS = 3_600_000


def queue(*wanted: NewPush) -> None:
    with event.transaction() as tx:
        pushes.queue(tx, wanted)


def recall(*notifications: int) -> None:
    with event.transaction() as tx:
        pushes.recall(tx, notifications)


def state() -> list[tuple[object, ...]]:
    columns = (Push.tag, Push.notification, Push.state, Push.urgent, Push.recall, Push.requests)
    return [tuple(row) for row in Push.select(*columns).order_by(Push.id).tuples()]


def sent(notification: int) -> None:
    execute("UPDATE pushes SET state='sent', attempts=1, sent_ms=1, ended_ms=1 WHERE notification=?", (notification,))


def test_a_push_goes_to_each_browser_of_its_user_and_several_become_one(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    for number, user in enumerate((ana, ana, ben)):
        subscribe(user, f"https://push.example.org/{number}")
    queue(NewPush(ana, 5, "conversation:7", AT_ONCE), NewPush(ben, 6, "like:3", AT_ONCE), NewPush(eve, 8, "like:3", AT_ONCE))
    expected = [("conversation-7", 5, "queued", False, False, 1)] * 2 + [("notification-6", 6, "queued", False, False, 1)]
    assert sorted(state()) == sorted(expected)
    queue(NewPush(ana, 9, "conversation:7", AT_ONCE, urgent=True))
    assert sorted(state())[:2] == [("conversation-7", 9, "queued", True, False, 2)] * 2
    PushSubscription.delete().where(PushSubscription.user == ana).execute()
    assert len(state()) == 1


def test_a_conversation_has_one_tag_whether_its_notification_is_shown_in_the_application_or_not() -> None:
    assert [pushes.tag_of(grouping, 5) for grouping in ("conversation:7", "~conversation:7", "~like:3")] == [
        *("conversation-7", "conversation-7"),
        "notification-5",
    ]


def test_the_earlier_time_counts_unless_it_is_being_sent_or_has_failed(store: Settings) -> None:
    (ana,) = people("ana")
    subscribe(ana)
    with event.transaction() as tx:
        later_ms = tx.now_ms + HOUR_MS
    queue(NewPush(ana, 5, "conversation:7", later_ms))
    assert rows("SELECT next_ms FROM pushes") == [(later_ms,)]
    queue(NewPush(ana, 5, "conversation:7", later_ms + HOUR_MS))
    assert rows("SELECT next_ms FROM pushes") == [(later_ms,)]
    queue(NewPush(ana, 5, "conversation:7", AT_ONCE, urgent=True))
    assert rows("SELECT next_ms FROM pushes")[0][0] < later_ms
    execute("UPDATE pushes SET attempts=1, next_ms=?", (later_ms,))
    queue(NewPush(ana, 5, "conversation:7", AT_ONCE))
    assert rows("SELECT next_ms, requests FROM pushes") == [(later_ms, 4)]


def test_what_was_sent_is_recalled_and_what_waits_is_not_sent(store: Settings) -> None:
    (ana,) = people("ana")
    subscribe(ana)
    queue(NewPush(ana, 5, "conversation:7", AT_ONCE), NewPush(ana, 6, "like:3", AT_ONCE))
    sent(5)
    recall(5, 6, 7)
    assert state() == [("conversation-7", 5, "queued", False, True, 2)]
    recall(5)
    assert state() == [("conversation-7", 5, "queued", False, True, 2)]
    queue(NewPush(ana, 9, "conversation:7", AT_ONCE, urgent=True))
    assert state() == [("conversation-7", 9, "queued", True, False, 3)]
    recall(5)  # of the notification of before
    assert state() == [("conversation-7", 9, "queued", True, False, 3)]


def test_what_waits_for_its_time_is_due_when_quiet_hours_change(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    for number, user in enumerate((ana, ana, ben)):
        subscribe(user, f"https://push.example.org/{number}")
    with event.transaction() as tx:
        later_ms = tx.now_ms + HOUR_MS
    queue(*(NewPush(user, 5 + user, "conversation:7", later_ms) for user in (ana, ben)), NewPush(ana, 9, "like:3", later_ms))
    execute("UPDATE pushes SET attempts=1 WHERE notification=9")  # it has failed, and is tried again then
    assert pushes.count_waiting(ana, later_ms - HOUR_MS) == 1
    with event.transaction() as tx:
        quiet_hours.set_hours(tx, ana, None)
    due = rows("SELECT notification, next_ms<? FROM pushes ORDER BY notification", (later_ms,))
    assert {(number, bool(is_due)) for number, is_due in due} == {(5 + ana, True), (5 + ben, False), (9, False)}
