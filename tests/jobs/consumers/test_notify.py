import msgspec

from conf import Settings
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from jobs.insight.explain import explain, explain_own
from models.chat import conversation, message, presence, read_marks
from models.log import event
from models.log.checkpoint import Part, read_unread
from models.notices import notification
from models.store.database import execute, rows
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


def shown(user: int) -> list[tuple[int, str, bool]]:
    """Count, body and whether it is unread of the user's notifications, newest first."""
    listed = notification.list_page(user, None, None, 10, unread_only=False)
    return [(one["count"], one["body"], one["read_at"] is None) for one in listed]


def test_the_count_follows_from_what_is_unread_and_left(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    sent = send(ana, 5, to=ben)
    send(ben, 1, to=ana)
    drain(NotifyConsumer())
    assert shown(ben) == [(5, "5 new messages", True)]
    with event.transaction() as tx:
        message.delete(tx, ana, "user", sent[4])
        read_marks.mark_read(tx, ben, 1, sent[1])
    assert shown(ben) == [(2, "2 new messages", True)]
    with event.transaction() as tx:
        read_marks.mark_unread(tx, ben, 1, sent[1])
    assert shown(ben) == [(3, "3 new messages", True)]
    with event.transaction() as tx:
        notification.mark_read(tx, ben, None)
    assert shown(ben) == [(4, "4 new messages", False)], "one that was read is about all that it told of"
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    with event.transaction() as tx:
        message.delete(tx, ana, "user", sent[0])
    assert shown(ben) == [(1, "1 new message", True), (3, "3 new messages", False)]


def test_an_unread_notification_has_the_names_of_what_is_left(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    [first] = send(ana, 1, at=crew)
    [second] = send(eve, 1, at=crew)
    drain(NotifyConsumer())
    [one] = notification.list_page(ben, None, None, 10, unread_only=True)
    assert one["title"] == "Eve in Crew"
    with event.transaction() as tx:
        message.delete(tx, eve, "user", second)
        conversation.rename(tx, ana, crew, "Walkers")
    [one] = notification.list_page(ben, None, None, 10, unread_only=True)
    assert (one["title"], one["count"]) == ("Ana in Walkers", 1)
    assert msgspec.json.decode(one["data"]) == {"conversation": crew, "message": first}


def test_what_is_read_up_to_something_deleted_is_taken_back(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    sent = send(ana, 2, to=ben)
    drain(NotifyConsumer())
    [own] = send(ben, 1, to=ana)
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, 1, sent[0])
        message.delete(tx, ana, "user", sent[1])
    assert shown(ben) == [(1, "1 new message", False)]
    with event.transaction() as tx:
        read_marks.mark_unread(tx, ben, 1, sent[0])
        read_marks.mark_read(tx, ben, 1, own)
    drain(NotifyConsumer())
    assert shown(ben) == [(1, "1 new message", False)], "nothing is told a second time"


def test_a_slice_that_is_done_again_is_told_once(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    urgent = [*send(ana, 2, at=crew), *send(ana, 1, at=crew, priority="urgent")]
    causes, _ = NotifyConsumer().prepare(read_unread({Part("", 0): 0}, event.head(), NotifyConsumer.types, 100)[0])
    for _ in range(2):
        with event.transaction() as tx:
            NotifyConsumer().write(tx, causes)
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%'") == 2
    with event.transaction() as tx:
        notification.mark_read(tx, ben, None)
        read_marks.mark_read(tx, eve, crew, urgent[-1])
    mails = scalar("SELECT count(*) FROM emails")
    with event.transaction() as tx:
        NotifyConsumer().write(tx, causes)
    assert [notification.unread_count(user) for user in (ben, eve)] == [0, 0]
    assert (mails, scalar("SELECT count(*) FROM emails")) == (2, 2)


def test_a_notification_of_the_version_before_goes_on_with_what_is_unread(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 2, to=ben)
    drain(NotifyConsumer())
    execute("UPDATE notifications SET from_message=NULL, upto_message=NULL, count=7, body='7 new messages'")
    assert shown(ben) == [(7, "7 new messages", True)]
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert shown(ben) == [(3, "3 new messages", True)]


def test_an_edit_notifies_whom_it_mentions_newly_and_once(store: Settings) -> None:
    ana, ben, eve, kim = people("ana", "ben", "eve", "kim")
    crew = group(ana, [ben, eve, kim])
    execute("UPDATE memberships SET level='mentions'")
    [first] = send(ana, 1, at=crew, body="hello @ben")
    send(ana, 1, at=crew)
    drain(NotifyConsumer())
    for body in ("hello @ben and @eve", "hello @ben, @eve", "hello @ben", "hello @ben and @eve"):
        with event.transaction() as tx:
            message.edit(tx, ana, first, body)
        drain(NotifyConsumer())
    shown = rows("SELECT user_id, type FROM notifications WHERE read_ms IS NULL ORDER BY user_id")
    assert shown == [(ben, "message"), (eve, "message")]
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%'") == 2
    with event.transaction() as tx:
        message.edit(tx, ana, first, "hello @all")
    drain(NotifyConsumer())
    drain(NotifyConsumer())
    assert [user for (user,) in rows("SELECT user_id FROM notifications ORDER BY user_id")] == [ben, eve, kim]
    [made] = notification.list_page(eve, None, None, 9, unread_only=True)
    [own] = explain_own(int(made["id"]), eve)["rules"]
    assert (own["rule"], own["decided"][0]) == ("mention", "notified")
    assert [one["count"] for user in (ben, eve, kim) for one in notification.list_page(user, None, None, 9, unread_only=True)] == [
        1
    ] * 3


def test_an_edit_in_a_large_group_notifies_those_alone_whom_it_names(store: Settings) -> None:
    ana, eve, *others = people("ana", "eve", *(f"kim{number}" for number in range(51)))
    crew = group(ana, [eve, *others])
    [first] = send(ana, 1, at=crew, body="hello")
    drain(NotifyConsumer())
    with event.transaction() as tx:
        message.edit(tx, ana, first, "hello @eve and @all")
        edited = tx.events[-1]
    drain(NotifyConsumer())
    assert rows("SELECT user_id FROM notifications") == [(eve,)]
    assert explain(edited.id, others[0])["rules"][0]["decided"] == ["does not concern them"]
