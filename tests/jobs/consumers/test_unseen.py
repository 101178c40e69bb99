"""Members who were online when an important or urgent message came are notified later, unless they have read it by then."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from conf import Settings
from jobs.consumers import unseen as unseen_consumer
from jobs.consumers.bursts import notify_groups
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.unseen import notify_unseen
from jobs.drain.drain import TRIES_PER_EVENT, drain, never
from jobs.insight import explain
from jobs.insight.origins import event_of_message
from jobs.mail import digests
from jobs.rules.precedence import HAS_READ, WAS_ONLINE
from models.chat import conversation, message, presence, read_marks
from models.log import event
from models.notices import bursts, notification, outbox, preference
from models.notices.preference import Choice
from models.ops import dead_letters
from models.store.database import execute, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import group, people, scalar, send

GATEWAY = "gateway-1"


@pytest.fixture
def clock(one_clock: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 11, 26, 9, 20, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def come(*users: int) -> None:
    with event.transaction() as tx:
        presence.record_changes(tx, GATEWAY, users, [])


def leave(*users: int) -> None:
    with event.transaction() as tx:
        presence.record_changes(tx, GATEWAY, [], users)


def settle() -> None:
    drain(NotifyConsumer())
    execute("UPDATE bursts SET due_ms=0")
    notify_groups(never)
    notify_unseen(never)
    digests.collect(never)


def shown(user: int) -> list[int]:
    return [one["count"] for one in notification.list_page(user, None, None, 10, unread_only=True)]


def mails() -> list[int]:
    """The receivers of the mails that were queued."""
    return [user for (user,) in rows("SELECT receiver FROM emails ORDER BY id")]


def decided(user: int, sent: int) -> list[str]:
    [rule] = explain.explain(event_of_message(sent), user)["rules"]
    return list(rule["decided"])


@pytest.mark.parametrize(("priority", "delay_s"), [("urgent", 60), ("important", 300)])
def test_one_poll_and_an_urgent_message_that_nobody_sees_is_mailed(
    store: Settings, clock: time_machine.Traveller, priority: str, delay_s: int
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    come(ben, eve)
    [sent] = send(ana, at=group(ana, [ben, eve]), priority=priority)
    settle()
    assert (shown(ben), shown(eve), mails()) == ([], [], [])
    assert decided(ben, sent) == [WAS_ONLINE, f"notified after {delay_s // 60} min if unseen"]
    leave(ben)
    clock.shift(delay_s - 1)
    with event.transaction() as tx:
        read_marks.mark_read(tx, eve, 1, sent)
    settle()
    assert (shown(ben), mails()) == ([], [])
    clock.shift(1)
    settle()
    settle()
    assert (shown(ben), shown(eve), mails()) == ([1], [], [ben])
    assert scalar("SELECT count(*) FROM unseen_messages") == 0
    assert [decided(ben, sent), decided(eve, sent)] == [[WAS_ONLINE, explain.LATER], [HAS_READ]]


def test_a_normal_message_that_nobody_sees_stays_so(store: Settings, clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    come(ben)
    send(ana, to=ben)
    settle()
    clock.shift(3_600)
    settle()
    assert (shown(ben), mails()) == ([], [])


def test_who_was_away_is_notified_once(store: Settings, clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    send(ana, to=ben, priority="urgent")
    settle()
    come(ben)  # and does not read it
    clock.shift(60)
    settle()
    assert (shown(ben), mails()) == ([1], [ben])


def test_an_older_unread_notification_is_no_reason_not_to_mail(store: Settings, clock: time_machine.Traveller) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    send(ana, at=crew)
    settle()
    come(ben)
    clock.shift(10)
    send(ana, at=crew, priority="urgent")
    settle()
    assert mails() == [eve]
    clock.shift(60)
    settle()
    assert (shown(ben), shown(eve), mails()) == ([2], [2], [eve, ben])


def test_what_was_deleted_or_left_meanwhile_is_not_notified(store: Settings, clock: time_machine.Traveller) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    come(ben, eve)
    first, _ = send(ana, 2, at=crew, priority="urgent")
    settle()
    with event.transaction() as tx:
        message.delete(tx, ana, "user", first)
        conversation.remove_member(tx, ana, crew, eve)
    clock.shift(60)
    settle()
    assert (shown(ben), shown(eve), mails()) == ([1], [], [ben])


def test_a_type_that_is_off_stays_off(store: Settings, clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        preference.set_choices(tx, ben, {"message": Choice(False, "off")})
    come(ben)
    send(ana, to=ben, priority="urgent")
    settle()
    clock.shift(60)
    settle()
    assert (shown(ben), mails(), scalar("SELECT count(*) FROM notifications")) == ([], [], 0)


def test_a_kill_at_any_commit_notifies_each_member_once(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, *others = people(*[f"user{n}" for n in range(bursts.LARGE + 150)])
    crew = group(owner, others)
    execute("UPDATE memberships SET level='all'")
    come(*others[:-1])
    [sent] = send(owner, at=crew, priority="urgent")
    drain(NotifyConsumer())
    notify_groups(never)
    assert mails() == [others[-1]]
    execute("UPDATE unseen_messages SET due_ms=0")
    for commit, when in ((1, "before"), (1, "after"), (2, "before"), (2, "before")):
        killed_at(store, "notify_unseen(tasks.never)", commit, when)
    assert scalar("SELECT count(*) FROM unseen_messages WHERE message=?", sent) == 1
    notify_unseen(never)
    notify_unseen(never)
    assert sorted(mails()) == sorted(others)
    assert [user for (user,) in rows("SELECT user_id FROM notifications ORDER BY user_id")] == others


def test_a_message_that_keeps_failing_is_parked_and_the_others_go_on(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    come(ben, eve)
    [first] = send(ana, to=ben, priority="urgent")
    send(ana, to=eve, priority="urgent")
    drain(NotifyConsumer())
    real = unseen_consumer.gather_unseen_facts

    def failing(decoded: tuple[event.Event, message.MessageView], members: object) -> object:
        if decoded[1].id == first:
            raise ValueError("can't be done")
        return real(decoded, members)

    monkeypatch.setattr(unseen_consumer, "gather_unseen_facts", failing)
    for _ in range(TRIES_PER_EVENT + 1):
        execute("UPDATE unseen_messages SET due_ms=0")
        notify_unseen(never)
    assert mails() == [eve]
    [parked] = dead_letters.newest(10)
    assert (parked["consumer"], parked["type"]) == ("unseen", "message.created")
    monkeypatch.undo()
    with event.transaction() as tx:
        dead_letters.request_retry(tx, parked["id"])
    notify_unseen(never)
    assert mails() == [eve, ben]
    assert (dead_letters.newest(10), outbox.count_queued()[0]) == ([], 2)
