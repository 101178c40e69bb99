import msgspec

from conf import Settings
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from models.chat import conversation, message, presence, read_marks
from models.log import event
from models.notices import notification
from models.store.database import execute
from tests.jobs.people import group, people, scalar, send


def test_a_conversation_has_one_notification_that_counts_while_unread(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    [one] = notification.list_page(ben, None, None, 10, unread_only=True)
    assert (one["title"], one["body"], one["count"]) == ("Ana", "1 new message", 1)
    newest = send(ana, 2, to=ben)[-1]
    drain(NotifyConsumer())
    [one] = notification.list_page(ben, None, None, 10, unread_only=True)
    assert (one["title"], one["body"], one["count"]) == ("Ana", "3 new messages", 3)
    assert msgspec.json.decode(one["data"]) == {"conversation": 1, "message": newest}
    assert notification.list_page(ana, None, None, 10, unread_only=True) == []
    kinds = [k for (k,) in execute("SELECT type FROM events WHERE type LIKE 'notification.%' ORDER BY id").fetchall()]
    assert kinds == ["notification.created", "notification.updated"]


def test_a_read_notification_is_followed_by_a_new_one(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    [first] = send(ana, 1, to=ben)
    drain(NotifyConsumer())
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, 1, first)
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert [n["count"] for n in notification.list_page(ben, None, None, 10, unread_only=False)] == [1, 1]
    assert notification.unread_count(ben) == 1


def test_a_groups_title_is_shown_and_names_are_not_patterns(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    execute("UPDATE users SET display_name='{n}' WHERE id=?", (ana,))
    send(ana, 2, at=group(ana, [ben, eve], "The {n} club"))
    drain(NotifyConsumer())
    assert {n["title"] for user in (ben, eve) for n in notification.list_page(user, None, None, 10, unread_only=True)} == {
        "{n} in The {n} club"
    }


def test_an_online_user_is_not_notified_until_the_gateways_lease_ends(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [ben], [])
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert notification.unread_count(ben) == 0
    execute("UPDATE leases SET until_ms=0")
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert notification.unread_count(ben) == 1


def test_former_and_later_members_are_not_notified_nor_those_who_left_since(store: Settings) -> None:
    ana, ben, eve, kim = people("ana", "ben", "eve", "kim")
    crew = group(ana, [ben, eve])
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ben)
    send(ana, 1, at=crew)
    with event.transaction() as tx:
        conversation.add_member(tx, ana, crew, kim)
        conversation.remove_member(tx, ana, crew, eve)
    drain(NotifyConsumer())
    assert [notification.unread_count(u) for u in (ben, eve, kim)] == [0, 0, 0]


def test_a_notification_of_what_is_deleted_or_out_of_reach_is_withdrawn(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    [urgent] = send(ana, 1, at=crew, priority="urgent")
    drain(NotifyConsumer())
    with event.transaction() as tx:
        message.delete(tx, ana, "user", urgent)
    assert [notification.unread_count(user) for user in (ben, eve)] == [0, 0]
    assert scalar("SELECT count(*) FROM events WHERE type='notification.read'") == 2
    send(ana, 2, at=crew)
    drain(NotifyConsumer())
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ben)
    assert [notification.unread_count(user) for user in (ben, eve)] == [0, 1]


def test_a_message_deleted_in_between_is_not_announced_and_no_text_ever_is(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    deleted, _ = send(ana, 2, to=ben)
    with event.transaction() as tx:
        message.delete(tx, ana, "user", deleted)
    drain(NotifyConsumer())
    [one] = notification.list_page(ben, None, None, 10, unread_only=True)
    assert one["count"] == 1
    assert scalar("SELECT count(*) FROM notifications WHERE title || body || data LIKE '%words%'") == 0
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%' AND data LIKE '%words%'") == 0
