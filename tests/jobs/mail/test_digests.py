"""Mail about what is unread: when it goes, to whom, how often, and what it says by then. With a real relay and a moving clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from conf import Settings
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain, never
from jobs.mail import digests
from jobs.mail.mailer import Mailer
from jobs.upkeep.retention import Retention
from models.chat import message, presence, read_marks
from models.identity import user as users
from models.log import event
from models.notices import notification, pending_mail, preference
from models.notices.preference import Choice
from models.store.database import execute, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar, send
from tests.smtp_server import SmtpServer

MORNING = datetime(2031, 5, 6, 8, 20, tzinfo=UTC)


@pytest.fixture
def mailer(store: Settings, relay: SmtpServer) -> Iterator[Mailer]:
    made = Mailer(store.model_copy(update={"email_url": relay.url}))
    yield made
    made.close()


@pytest.fixture
def clock(one_clock: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(MORNING, tick=False) as traveller:
        yield traveller


def want(user: int, email: str, kind: str = "message", in_app: bool = True) -> None:
    with event.transaction() as tx:
        preference.set_choices(tx, user, {kind: Choice(in_app, email)})


def settle(mailer: Mailer) -> None:
    """All that background work does now."""
    drain(NotifyConsumer())
    digests.collect(never)
    mailer.send_due()


def subjects(relay: SmtpServer) -> list[tuple[str, str]]:
    return [(one.receivers[0].partition("@")[0], one.parsed["Subject"]) for one in relay.mails]


def test_what_is_unread_goes_as_one_mail_when_the_clock_strikes(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    send(ana, 3, to=ben)
    send(eve, 1, to=ben)
    settle(mailer)
    clock.shift(timedelta(minutes=39))
    settle(mailer)
    assert relay.mails == []
    clock.shift(timedelta(minutes=1))
    settle(mailer)
    settle(mailer)
    assert subjects(relay) == [("ben", "2 unread notifications")]
    parsed = relay.mails[0].parsed
    for kind in ("plain", "html"):
        body = parsed.get_body((kind,)).get_content()  # type: ignore[union-attr]
        assert all(said in body for said in ("Ana", "3 new messages", "Eve", "1 new message", "/#/conversations/1"))
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    clock.shift(timedelta(hours=1))
    settle(mailer)
    assert len(relay.mails) == 1, "nothing new, nothing sent"
    send(ana, 1, to=ben)
    settle(mailer)
    clock.shift(timedelta(hours=1))
    settle(mailer)
    assert subjects(relay)[1:] == [("ben", "New message from “Ana”")], "it grew since"


def test_who_has_read_it_gets_no_mail(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    [first] = send(ana, 1, to=ben)
    send(eve, 1, to=ben)
    settle(mailer)
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, 1, first)
    clock.shift(timedelta(minutes=40))
    digests.collect(never)
    with event.transaction() as tx:
        notification.mark_read(tx, ben, None)  # after the digest was queued, before it is sent
    mailer.send_due()
    assert relay.mails == []
    assert rows("SELECT state FROM emails") == [("dropped",)]
    assert scalar("SELECT count(*) FROM waiting_mail") == 0


def test_a_daily_digest_comes_at_nine_of_the_persons_own_clock(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    for user, zone in ((ben, "Pacific/Kiritimati"), (eve, "America/New_York")):
        want(user, "daily")
        with event.transaction() as tx:
            users.set_profile(tx, user, zone, None)
        send(ana, 1, to=user)
    sent = []
    for hour in range(1, 25):
        clock.shift(timedelta(hours=1))
        settle(mailer)
        sent += [(one.receivers[0].partition("@")[0], hour) for one in relay.mails]
        relay.mails.clear()
    assert sent == [("eve", 5), ("ben", 11)]  # 13:00 and 19:00 UTC, of which the first full minute is 20 past


@pytest.mark.parametrize(
    ("changed_to", "after_minutes", "sent"),
    [("off", 0, 0), ("off", 60, 0), ("instant", 0, 1), ("daily", 39, 0), ("daily", 40, 1), ("hourly", 39, 0), ("hourly", 40, 1)],
)
def test_a_preference_that_changed_counts_for_what_is_waiting(
    changed_to: str, after_minutes: int, sent: int, clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    want(ben, "daily" if changed_to == "hourly" else "hourly")
    send(ana, 1, to=ben)
    settle(mailer)
    want(ben, changed_to)
    clock.shift(timedelta(minutes=after_minutes))
    settle(mailer)
    assert len(relay.mails) == sent


@pytest.mark.parametrize(("changed_to", "waiting"), [("off", 0), ("hourly", 1)])
def test_a_preference_that_changed_counts_for_a_mail_in_the_outbox(
    changed_to: str, waiting: int, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    want(ben, "instant")
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert scalar("SELECT count(*) FROM emails WHERE state='queued'") == 1
    want(ben, changed_to)
    mailer.send_due()
    assert relay.mails == []
    assert scalar("SELECT count(*) FROM waiting_mail") == waiting


def test_urgent_goes_at_once_and_important_after_five_minutes_unseen(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    want(eve, "off")
    for user in (ben, eve):
        send(ana, 1, to=user)
        send(ana, 1, to=user, priority="important")
    settle(mailer)
    assert relay.mails == []
    clock.shift(timedelta(minutes=5))
    settle(mailer)
    assert subjects(relay) == [("ben", "Important message from “Ana”")]
    for user in (ben, eve):
        send(ana, 1, to=user, priority="urgent")
    settle(mailer)
    assert subjects(relay)[1:] == [("ben", "Urgent message from “Ana”")]
    assert "3 new messages" in relay.mails[1].parsed.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    clock.shift(timedelta(hours=2))
    settle(mailer)
    assert len(relay.mails) == 2, "what was mailed is not digested"


def test_who_is_looking_gets_no_mail_whatever_the_priority(mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [ben], [])
    send(ana, 1, to=ben, priority="urgent")
    settle(mailer)
    assert (relay.mails, scalar("SELECT count(*) FROM waiting_mail")) == ([], 0)


def test_an_urgent_message_that_is_deleted_before_its_mail_goes_is_not_mailed(mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    [urgent] = send(ana, 1, to=ben, priority="urgent")
    drain(NotifyConsumer())
    assert scalar("SELECT count(*) FROM emails WHERE state='queued'") == 1
    with event.transaction() as tx:
        message.delete(tx, ana, "user", urgent)
    mailer.send_due()
    assert relay.mails == []
    assert scalar("SELECT state FROM emails") == "dropped"


def test_mail_alone_is_possible_and_its_notification_is_nowhere_else(mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    want(ben, "instant", in_app=False)
    for n in (1, 2):
        send(ana, 1, to=ben)
        settle(mailer)
        assert subjects(relay) == [("ben", "New message from “Ana”")] * n, "what was mailed is done, and the next one is new"
    assert notification.list_page(ben, None, None, 10, unread_only=False) == []
    assert notification.unread_count(ben) == 0
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%'") == 0


def test_of_two_workers_one_makes_the_digest(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    clock.shift(timedelta(minutes=40))
    with event.transaction() as tx:
        assert pending_mail.claim_digest(tx, ben, "hourly 2031-05-06T09:00+00:00")
    settle(mailer)
    assert relay.mails == [], "the other one has it"
    clock.shift(timedelta(hours=1))
    settle(mailer)
    assert len(relay.mails) == 1, "what it did not hold goes with the next"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_of_collecting_leaves_everyone_one_digest(
    store: Settings, when: str, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, *others = people("ana", *[f"user{n}" for n in range(60)])
    for user in others:
        send(ana, 1, to=user)
    drain(NotifyConsumer())
    execute("UPDATE waiting_mail SET due_ms=1, since_ms=1")
    killed_at(store, "digests.collect(lambda: False)", 2, when)
    assert scalar("SELECT count(*) FROM digests") == {"before": 25, "after": 50}[when]
    settle(mailer)
    assert sorted(name for name, _ in subjects(relay)) == sorted(f"user{n}" for n in range(60))


def test_a_hundred_unread_are_a_mail_of_fifty_and_a_number(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ben, *others = people("ben", *[f"user{n}" for n in range(70)])
    for user in others:
        send(user, 1, to=ben)
    drain(NotifyConsumer())
    clock.shift(timedelta(hours=1))
    settle(mailer)
    assert subjects(relay) == [("ben", "70 unread notifications")]
    assert "and 20 more" in relay.mails[0].parsed.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_digest_is_in_its_receivers_language(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, eve, ben = people("ana", "eve", "ben")
    with event.transaction() as tx:
        users.set_profile(tx, ben, None, "ar-EG")
    for user in (ana, eve):
        send(user, 1, to=ben)
    settle(mailer)
    clock.shift(timedelta(minutes=40))
    settle(mailer)
    assert subjects(relay) == [("ben", "إشعاران غير مقروءين")]
    assert 'dir="rtl"' in relay.mails[0].parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]


def test_a_name_is_never_the_subject_of_a_mail_nor_a_link_in_it(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE users SET display_name='Your password was changed: https://evil.example' WHERE id=?", (ana,))
    want(ben, "instant")
    send(ana, 1, to=ben)
    settle(mailer)
    assert subjects(relay) == [("ben", "New message from “Your password was changed: https://evil.example”")]
    for kind in ("plain", "html"):
        body = relay.mails[0].parsed.get_body((kind,)).get_content()  # type: ignore[union-attr]
        assert "Your password was changed" in body
        assert "https://evil.example" not in body.partition("</title>")[2 if kind == "html" else 0]


def test_a_digest_that_was_planned_while_the_clock_was_ahead_comes_at_the_next_hour(
    clock: time_machine.Traveller, store: Settings, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    want(ben, "hourly")
    clock.shift(timedelta(hours=1))
    send(ana, to=ben)
    settle(mailer)
    clock.shift(timedelta(hours=-1))
    Retention(store, []).run(never)
    settle(mailer)
    assert relay.mails == []
    clock.move_to(MORNING + timedelta(minutes=40))
    settle(mailer)
    assert [receiver for receiver, _ in subjects(relay)] == ["ben"]
