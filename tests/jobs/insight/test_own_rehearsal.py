"""A rehearsal with other settings says what a user would have received: on the newest events that concern them, writing nothing."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from conf import Settings as ServerSettings
from jobs.consumers.host_notices import HostNoticeConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from jobs.insight import own_rehearsal
from jobs.insight.own_rehearsal import Counts, Settings, rehearse_own
from models.chat import presence, read_marks
from models.community import comment, group, like, post
from models.log import event
from models.notices import host_notices, host_types, preference, quiet_hours
from models.notices.host_notices import NewNotice
from models.notices.host_types import Definition, TypeWords
from models.notices.preference import Choice
from models.notices.quiet import DAYS, Quiet
from models.store.clock import rfc3339
from tests.jobs.people import group as make_group
from tests.jobs.people import people, send

EVENING = datetime(2031, 5, 6, 21, 40, tzinfo=UTC)  # a Tuesday
NIGHTS = Quiet(list(DAYS), "22:00", "07:00")


@pytest.fixture
def clock(one_clock: None, store: ServerSettings) -> time_machine.Traveller:
    with time_machine.travel(EVENING, tick=False) as traveller:
        yield traveller


def counts(**numbers: int) -> dict[str, int]:
    return {name: numbers.get(name, 0) for name in Counts.__struct_fields__}


def as_dict(found: Counts) -> dict[str, int]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def test_quiet_hours_gather_the_mails_of_a_night(clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        preference.set_choices(tx, ben, {"message": Choice(True, "instant")})
    for _ in range(4):  # at 21:40, 22:40, …
        send(ana, 1, to=ben)
        clock.shift(timedelta(hours=1))
    send(ana, 1, to=ben, priority="urgent")
    newest = event.head()
    found = rehearse_own(ben, Settings(keeps_quiet=False, quiet=NIGHTS))
    assert as_dict(found.now) == counts(notifications=5, in_app=5, mails=5)
    assert as_dict(found.tried) == counts(notifications=5, in_app=5, mails=3, delayed_mails=1), "and the urgent one at once"
    assert (found.complete, event.head()) == (True, newest)
    assert as_dict(rehearse_own(ana, Settings()).now) == counts(), "what one does oneself is no notification"


def test_settings_of_now_are_those_that_are_not_tried(clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        quiet_hours.set_hours(tx, ben, Quiet(["tue"], "21:00", "23:00"))
    send(ana, 2, to=ben)
    clock.shift(timedelta(hours=1))
    send(ana, 1, to=ben)
    found = rehearse_own(ben, Settings(choices={"message": Choice(False, "off")}))
    assert as_dict(found.now) == counts(notifications=3, in_app=3, mails=1, delayed_mails=1), "a digest at the end"
    assert as_dict(found.tried) == counts(notifications=3, off=3)
    assert as_dict(rehearse_own(ben, Settings(keeps_quiet=False)).tried) == counts(notifications=3, in_app=3, mails=2)


def test_levels_are_tried_by_conversation(clock: time_machine.Traveller) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    loud, calm = make_group(ana, [ben, eve]), make_group(eve, [ben])
    send(ana, 3, at=loud)
    send(eve, 1, at=calm)
    found = rehearse_own(ben, Settings(levels={loud: "none"}))
    assert (found.now.in_app, found.tried.in_app, found.tried.below_level) == (4, 1, 3)


def test_what_was_read_since_counts_and_what_was_seen_at_once_does_not(clock: time_machine.Traveller) -> None:
    ana, ben = people("ana", "ben")
    [first] = send(ana, 1, to=ben)
    clock.shift(timedelta(minutes=1))
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, 1, first)
        presence.record_changes(tx, "gateway-1", [ben], [])
    clock.shift(timedelta(minutes=1))
    send(ana, 1, to=ben)
    clock.shift(timedelta(minutes=1))
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [], [ben])
    clock.shift(timedelta(minutes=1))
    send(ana, 1, to=ben)
    assert rehearse_own(ben, Settings()).now.notifications == 2


def test_the_community_and_the_host_are_rehearsed_too(clock: time_machine.Traveller) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    with event.transaction() as tx:
        number = post.create(tx, ben, None, "a post").id
        crew = group.create(tx, ben, "Gardeners").id
        host_types.put(tx, "order.sent", Definition({"en": TypeWords("It is on its way")}, email="instant"))
    with event.transaction() as tx:
        like.like(tx, ana, number)
        own = comment.create(tx, ben, number, "words", None).id
        comment.create(tx, ana, number, "an answer", own)
        comment.create(tx, ana, number, "words", None)
        group.join(tx, eve, crew)
        host_notices.request(tx, NewNotice("order.sent", "to", f"[{ben}]", None, b"{}", None, None, None, unless_read=False))
    drain(NotifyConsumer())
    drain(HostNoticeConsumer())
    found = rehearse_own(ben, Settings(choices={"community": Choice(True, "off"), "order.sent": Choice(False, "instant")}))
    assert as_dict(found.now) == counts(notifications=5, in_app=5, mails=5)
    assert as_dict(found.tried) == counts(notifications=5, in_app=4, off=1, mails=1)
    assert rehearse_own(eve, Settings()).now.notifications == 0


def test_only_the_newest_events_are_read_and_for_a_limited_time(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben = people("ana", "ben")
    for _ in range(5):
        send(ana, 2, to=ben)
        clock.shift(timedelta(days=4))
    found = rehearse_own(ben, Settings())
    assert (found.complete, found.now.notifications) == (True, 6), "of the last 14 days"
    monkeypatch.setattr(own_rehearsal, "EVENTS_PER_SLICE", 2)
    times = iter([0.0, 0.5, 9.0])
    found = rehearse_own(ben, Settings(), lambda: next(times))
    assert (found.complete, found.now.notifications) == (False, 4)
    assert found.since == rfc3339(round((EVENING + timedelta(days=12)).timestamp() * 1000))
    monkeypatch.setattr(own_rehearsal, "MAX_EVENTS", 3)
    found = rehearse_own(ben, Settings())
    assert (found.complete, found.now.notifications) == (False, 3)


def test_periods_of_presence_are_merged() -> None:
    visits = presence.Visits([(10, 20), (15, 18), (18, 30), (40, 50)])
    assert [at for at in (9, 10, 25, 30, 31, 39, 40, 50, 51) if visits.includes(at)] == [10, 25, 30, 40, 50]
