"""Mail in quiet hours: it waits for their end and goes once, if it is still unread. With a real relay and a moving clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from conf import Settings
from jobs.consumers.host_notices import HostNoticeConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain, never
from jobs.mail import digests
from jobs.mail.mailer import Mailer
from models.accounts import status
from models.chat import read_marks
from models.identity import user as users
from models.log import event
from models.notices import host_notices, host_types, notification, outbox, preference, quiet_hours
from models.notices.host_notices import NewNotice
from models.notices.host_types import Definition, TypeWords
from models.notices.preference import Choice
from models.notices.quiet import DAYS, Quiet
from models.store.database import execute, rows
from tests.jobs.people import people, scalar, send
from tests.smtp_server import SmtpServer

EVENING = datetime(2031, 5, 6, 21, 40, tzinfo=UTC)  # a Tuesday
NIGHT = Quiet(["tue"], "22:00", "07:00")


@pytest.fixture
def mailer(store: Settings, relay: SmtpServer) -> Iterator[Mailer]:
    made = Mailer(store.model_copy(update={"email_url": relay.url}))
    yield made
    made.close()


@pytest.fixture
def clock(one_clock: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(EVENING, tick=False) as traveller:
        yield traveller


def prefer(user: int, email: str, kind: str = "message") -> None:
    with event.transaction() as tx:
        preference.set_choices(tx, user, {kind: Choice(True, email)})


def be_quiet(user: int, quiet: Quiet | None = NIGHT) -> None:
    with event.transaction() as tx:
        quiet_hours.set_hours(tx, user, quiet)


def settle(mailer: Mailer) -> None:
    """All that background work does now."""
    drain(NotifyConsumer())
    drain(HostNoticeConsumer())
    digests.collect(never)
    mailer.send_due()


def hours_of_mails(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> list[int]:
    """Let time pass until noon; return the hour of the day at which each further mail was sent."""
    sent: list[int] = []
    before, now = len(relay.mails), datetime.now(UTC).replace(minute=0)
    while (now := now + timedelta(hours=1)) <= EVENING.replace(day=7, hour=12):
        clock.move_to(now)
        settle(mailer)
        sent += [now.hour] * (len(relay.mails) - before - len(sent))
    return sent


@pytest.mark.parametrize("email", ["instant", "hourly"])
def test_a_mail_of_the_night_goes_once_in_the_morning(
    email: str, clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    for user in (ben, eve):
        prefer(user, email)
    be_quiet(ben)
    clock.shift(timedelta(hours=2))
    for user in (ben, eve):
        send(ana, 2, to=user)
    settle(mailer)
    assert hours_of_mails(clock, mailer, relay) == ([7] if email == "instant" else [0, 7])
    assert [one.receivers[0].partition("@")[0] for one in relay.mails] == ["eve", "ben"]


def test_digests_of_the_night_are_one_in_the_morning(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    be_quiet(ben)
    send(ana, 1, to=ben)
    settle(mailer)
    clock.shift(timedelta(hours=9))  # another one shortly before the end
    send(eve, 1, to=ben)
    settle(mailer)
    assert hours_of_mails(clock, mailer, relay) == [7]
    assert relay.mails[0].parsed["Subject"] == "2 unread notifications"


def test_a_daily_digest_that_falls_into_quiet_hours_comes_at_their_end(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    for user, hours in ((ben, Quiet(["wed"], "08:00", "11:00")), (eve, NIGHT)):
        prefer(user, "daily")
        be_quiet(user, hours)
        send(ana, 1, to=user)
    assert hours_of_mails(clock, mailer, relay) == [9, 11]
    assert [one.receivers[0].partition("@")[0] for one in relay.mails] == ["eve", "ben"]


@pytest.mark.parametrize("email", ["instant", "hourly"])
def test_what_was_read_meanwhile_is_not_mailed(
    email: str, clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    prefer(ben, email)
    be_quiet(ben)
    clock.shift(timedelta(hours=2))
    [first] = send(ana, 1, to=ben)
    settle(mailer)
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, 1, first)
    assert hours_of_mails(clock, mailer, relay) == []
    assert scalar("SELECT count(*) FROM waiting_mail") == 0


def test_what_is_urgent_is_mailed_at_night_and_important_in_the_morning(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    be_quiet(ben)
    clock.shift(timedelta(hours=2))
    send(ana, 1, to=ben, priority="important")
    settle(mailer)
    clock.shift(timedelta(minutes=5))
    settle(mailer)
    assert relay.mails == []
    send(eve, 1, to=ben, priority="urgent")
    settle(mailer)
    assert [one.parsed["Subject"] for one in relay.mails] == ["Urgent message from “Eve”"]
    assert hours_of_mails(clock, mailer, relay) == [7]
    assert relay.mails[1].parsed["Subject"] == "Important message from “Ana”"


@pytest.mark.parametrize("urgent", [True, False])
def test_an_urgent_type_of_the_hosts_is_mailed_at_night(
    urgent: bool, clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ben, *_ = people("ben")
    be_quiet(ben)
    clock.shift(timedelta(minutes=30))
    with event.transaction() as tx:
        host_types.put(tx, "alarm", Definition({"en": TypeWords("It burns")}, email="instant", urgent=urgent))
        host_notices.request(tx, NewNotice("alarm", "to", f"[{ben}]", None, b"{}", None, None, None, unless_read=False))
    settle(mailer)
    assert len(relay.mails) == int(urgent)
    assert hours_of_mails(clock, mailer, relay) == ([] if urgent else [7])


def test_mail_about_the_account_is_not_delayed(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ben, *_ = people("ben")
    be_quiet(ben)
    clock.shift(timedelta(hours=2))
    with event.transaction() as tx:
        status.change_password(tx, ben, "hash", None)
        outbox.queue(tx, [outbox.NewMail("login_code", ben, "ben@example.org", "Ben", {"code": "123456"}, priority=0)])
    settle(mailer)
    assert sorted(one.parsed["Subject"] for one in relay.mails) == ["Your login code", "Your password was changed"]


@pytest.mark.parametrize("change", ["none", "shorter", "longer", "timezone"])
@pytest.mark.parametrize("priority", ["normal", "important"])
def test_a_change_of_quiet_hours_counts_for_what_waits(
    change: str, priority: str, clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    prefer(ben, "instant")
    be_quiet(ben)
    clock.shift(timedelta(hours=2))
    send(ana, 1, to=ben, priority=priority)
    settle(mailer)
    if change == "timezone":
        with event.transaction() as tx:
            users.set_profile(tx, ben, "Asia/Tokyo", None)
            quiet_hours.recompute(tx, [ben])  # it is Wednesday morning there
    else:
        be_quiet(
            ben, {"none": None, "shorter": Quiet(["tue"], "22:00", "05:00"), "longer": Quiet(["tue"], "21:00", "09:00")}[change]
        )
    settle(mailer)
    assert len(relay.mails) == (change in ("none", "timezone"))
    clock.shift(timedelta(hours=5, minutes=30))  # 05:10
    settle(mailer)
    assert len(relay.mails) == (change != "longer")
    assert hours_of_mails(clock, mailer, relay) == ([9] if change == "longer" else [])


def test_a_mail_that_is_left_over_from_the_day_waits_too(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    prefer(ben, "instant")
    for user in (ben, eve):
        be_quiet(user)
        send(ana, 1, to=user)
    drain(NotifyConsumer())
    execute("UPDATE waiting_mail SET due_ms=0, since_ms=since_ms-3600000")
    digests.collect(never)
    assert scalar("SELECT count(*) FROM emails WHERE state='queued'") == 2, "an own mail and a digest"
    assert hours_of_mails(clock, mailer, relay) == [7, 7]
    assert sorted(rows("SELECT state FROM emails")) == [("dropped",), ("dropped",), ("sent",), ("sent",)]


def test_a_mail_that_may_have_been_sent_is_repeated_with_its_message_id(
    clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer
) -> None:
    ana, ben = people("ana", "ben")
    prefer(ben, "instant")
    be_quiet(ben)
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    with event.transaction() as tx:
        mail = outbox.next_due(tx.now_ms)
        assert mail is not None
        outbox.acquire(tx, mail, "a sender that is killed", "example.org")
    clock.shift(timedelta(minutes=30))
    mailer.send_due()
    assert [one.parsed["Message-ID"] for one in relay.mails] == [f"<{mail.message_id}@example.org>"]
    with event.transaction() as tx:
        notification.mark_read(tx, ben, None)
    assert hours_of_mails(clock, mailer, relay) == []


def test_every_day_of_a_week_has_its_night(clock: time_machine.Traveller, mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    prefer(ben, "instant")
    be_quiet(ben, Quiet(list(DAYS[:5]), "22:00", "07:00"))
    nights = []
    for day in range(7):
        clock.move_to(EVENING + timedelta(days=day, hours=1))
        with event.transaction() as tx:
            notification.mark_read(tx, ben, None)
        send(ana, 1, to=ben)
        settle(mailer)
        nights.append(len(relay.mails))
    assert nights == [0, 0, 0, 0, 1, 2, 2], "those of Saturday and Sunday are not quiet"
