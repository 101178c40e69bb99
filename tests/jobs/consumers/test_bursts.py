"""Large groups: a burst of messages is one notification, or one update, for each member."""

import random
from typing import Any

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers import bursts as bursts_consumer
from jobs.consumers.bursts import notify_groups
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.withdrawals import WithdrawalsConsumer
from jobs.drain.drain import TRIES_PER_EVENT, drain, never
from jobs.insight import explain
from jobs.rules.bursts import BurstMessages
from jobs.rules.decisions import apply_rule
from jobs.rules.facts import gather_facts, with_receivers
from jobs.rules.payloads import payload_of
from jobs.rules.rules import MESSAGE
from models.chat import conversation, message, presence, read_marks
from models.log import event, trimming
from models.notices import bursts, notification
from models.notices.notification import Notification
from models.ops import dead_letters
from models.store.database import execute, fetch_rows
from tests.jobs.killing import killed_at
from tests.jobs.people import group, people, scalar, send

MEMBERS = bursts.LARGE + 10
FAR_FUTURE_MS = 2**50


def large_group() -> tuple[list[int], int]:
    """Create a large group whose members are notified of all messages; returns its members, the owner first, and its id."""
    members = people(*[f"user{n}" for n in range(MEMBERS)])
    crew = group(members[0], members[1:])
    execute("UPDATE memberships SET level='all'")
    return members, crew


def notify() -> None:
    """Drain the log, then notify all groups, also those whose interval has not passed."""
    drain(NotifyConsumer())
    execute("UPDATE bursts SET due_ms=0")
    notify_groups(never)


def counts() -> list[tuple[int, int]]:
    """User and count of each notification."""
    query = Notification.select(*notification.SHOWN, *notification.INTERVAL).where(Notification.read_ms.is_null())
    return [(row[1], row[6]) for row in notification.with_counts(fetch_rows(query.order_by(Notification.user)))]


def test_a_burst_is_one_notification_for_each_member_and_costs_no_more_while_it_is_unread(store: Settings) -> None:
    (owner, *others), crew = large_group()
    send(owner, 30, at=crew)
    notify()
    assert counts() == [(user, 30) for user in others]
    send(owner, 1, at=crew)
    newest = send(others[0], 2, at=crew)[-1]
    notify()
    assert counts() == [(owner, 2), (others[0], 31), *[(user, 33) for user in others[1:]]]
    [shown] = notification.list_page(others[1], None, None, 10, unread_only=True)
    assert (shown["title"], shown["body"]) == ("User1 in Crew", "33 new messages")
    assert msgspec.json.decode(shown["data"]) == {"conversation": crew, "message": newest}
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%'") == len(others) + 1
    notify()
    assert scalar("SELECT (SELECT count(*) FROM bursts) + (SELECT count(*) FROM burst_events)") == 0


def test_a_large_group_delays_nobody_elses_notifications(store: Settings) -> None:
    (owner, *others), crew = large_group()
    ana, ben = people("ana", "ben")
    send(owner, 150, at=crew)
    send(ana, 1, to=ben)
    drain(NotifyConsumer())
    assert counts() == [(ben, 1)]
    tasks.run_pending()
    assert counts() == [*[(user, 150) for user in others], (ben, 1)]


def test_a_kill_at_any_commit_of_a_burst_is_exact(store: Settings) -> None:
    (owner, *others), crew = large_group()
    send(owner, 5, at=crew)
    send(others[0], 5, at=crew)
    work = "tasks.drain_log(tasks.consumers['notify'], events_per_slice=4); notify_groups(tasks.never)"
    for when in ("before", "after"):
        killed_at(store, work, random.randint(1, 3), when)
    notify()
    notify()
    assert counts() == [(owner, 5), (others[0], 5), *[(user, 10) for user in others[1:]]]


def test_a_worker_that_was_overtaken_writes_nothing(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (owner, *others), crew = large_group()
    send(owner, 3, at=crew)
    drain(NotifyConsumer())
    [stale] = bursts.list_due(FAR_FUTURE_MS)
    notify_groups(never)
    send(owner, 1, at=crew)
    notify()
    monkeypatch.setattr(bursts, "list_due", lambda _: [stale])
    send(owner, 1, at=crew)
    drain(NotifyConsumer())
    head = event.head()
    assert notify_groups(never).rows == 0
    assert (event.head(), counts()) == (head, [(user, 5) for user in others])


def test_a_burst_that_fails_is_postponed_and_the_others_go_on(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (owner, *others), crew = large_group()
    second = group(owner, others, "Second")
    execute("UPDATE memberships SET level='all'")
    send(owner, 1, at=crew)
    send(owner, 1, at=second)
    real = bursts_consumer.gather_facts

    def failing(events: list[tuple[event.Event, object]], **members: Any) -> object:
        if events[0][0].stream == event.conversation_stream(crew):
            raise ValueError("can't be done")
        return real(events, **members)

    monkeypatch.setattr(bursts_consumer, "gather_facts", failing)
    notify()
    assert counts() == [(user, 1) for user in others]
    assert notify_groups(never).rows == 0, "it is tried again later"
    monkeypatch.undo()
    notify()
    assert counts() == [(user, 1) for user in others for _ in (crew, second)]


def test_a_burst_that_keeps_failing_is_parked_until_an_admin_retries_it(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (owner, *others), crew = large_group()
    send(owner, 3, at=crew)
    tried = []
    with monkeypatch.context() as patch:
        patch.setattr(bursts_consumer, "gather_facts", lambda events, **_: tried.append(events))  # returns nothing, which fails
        for _ in range(TRIES_PER_EVENT + 1):
            notify()
        [parked] = dead_letters.newest(10)
        assert (parked["consumer"], parked["type"], parked["retrying"]) == ("bursts", "message.created", False)
        assert (len(tried), bursts.oldest_waiting_ms()) == (TRIES_PER_EVENT, None), "it is neither tried nor behind"
        request_retry(parked["id"])
        notify()
        assert [(dead["id"], dead["retrying"]) for dead in dead_letters.newest(10)] == [(parked["id"], False)]
    send(owner, 1, at=crew)
    drain(NotifyConsumer())
    with event.transaction() as tx:
        trimming.trim(tx, FAR_FUTURE_MS, event.head(), 1_000)
    request_retry(parked["id"])
    notify()
    assert counts() == [(user, 4) for user in others]
    assert dead_letters.newest(10) == []


def request_retry(dead: int) -> None:
    with event.transaction() as tx:
        dead_letters.request_retry(tx, dead)


def test_explain_knows_what_a_burst_counted(store: Settings) -> None:
    (owner, *others), crew = large_group()
    sent = send(owner, 3, at=crew)
    drain(NotifyConsumer())
    number = int(str(scalar("SELECT event FROM messages WHERE id=?", sent[1])))
    [rule] = explain.explain(number, others[0])["rules"]
    assert rule["decided"] == [explain.NOT_YET]
    notify()
    [rule] = explain.explain(number, others[0])["rules"]
    assert (rule["decided"][0], rule["notification"]) == ("notified", scalar("SELECT min(id) FROM notifications"))
    [rule] = explain.explain(number, owner)["rules"]
    assert rule["decided"] == ["own act"]


def random_history(members: list[int], crew: int) -> None:
    """Send, read, delete, leave and come back in a random order, the same at each run."""
    chance = random.Random(7)
    sent: list[int] = []
    owner, gone = members[0], []
    for _ in range(60):
        user = chance.choice([member for member in members[1:] if member not in gone])
        with event.transaction() as tx:
            match chance.randrange(6):
                case 0:
                    conversation.remove_member(tx, owner, crew, user)
                    gone.append(user)
                case 1 if gone:
                    conversation.add_member(tx, owner, crew, gone.pop(0))
                case 2 if sent:
                    read_marks.mark_read(tx, user, crew, chance.choice(sent))
                case 3 if sent:
                    message.delete(tx, owner, "admin", sent.pop(chance.randrange(len(sent))))
        sent += send(owner if user in gone else user, 1, at=crew, priority=chance.choice(["normal", "urgent"]))


def test_a_burst_decides_as_the_rule_does_message_by_message(store: Settings) -> None:
    members, crew = large_group()
    random_history(members, crew)
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", members[5:9], [])
    drain(NotifyConsumer())
    execute("UPDATE users SET status='suspended' WHERE id=?", (members[10],))
    [burst] = bursts.list_due(FAR_FUTURE_MS)
    decoded = [(each, payload_of(each)) for each in bursts.read_events(burst)]
    decoded = [(each, payload) for each, payload in decoded if payload.deleted_at is None]
    facts = gather_facts(decoded)
    facts = with_receivers(facts, [member.user for member in facts.members[crew]])
    one_by_one = {
        (decision.user, payload.id)
        for each, payload in decoded
        for decision in apply_rule(MESSAGE, MESSAGE.content(payload, facts), each, payload, facts)
        if decision.in_app
    }
    messages = BurstMessages(decoded, facts)
    at_once = {(member.user, payload.id) for member in facts.members[crew] for payload in messages.reaching(member)}
    assert at_once == one_by_one
    assert len(at_once) > 500


def test_what_is_deleted_in_a_large_group_is_taken_back(store: Settings) -> None:
    (owner, *others), crew = large_group()
    deleted = send(owner, 2, at=crew)
    notify()
    send(others[0], 1, at=crew)
    with event.transaction() as tx:
        read_marks.mark_read(tx, others[1], crew, deleted[0])
        for each in deleted:
            message.delete(tx, owner, "user", each)
    notify()
    tasks.run_pending()
    assert counts() == [(owner, 1), *[(user, 1) for user in others[1:]]]
    assert scalar("SELECT count(*) FROM events WHERE type='notification.read'") == 1
    drain(WithdrawalsConsumer())
    assert scalar("SELECT count(*) FROM events WHERE type='notification.read'") == 1


def test_in_a_large_group_the_default_is_to_be_notified_of_mentions(store: Settings) -> None:
    (owner, *others), crew = large_group()
    execute("UPDATE memberships SET level=NULL")
    execute("UPDATE memberships SET level='all' WHERE user_id=?", (others[0],))
    execute("UPDATE memberships SET level='none' WHERE user_id=?", (others[1],))
    send(owner, 5, at=crew)
    send(owner, 1, at=crew, body="@user2 and @user3")
    notify()
    assert counts() == [(others[0], 6), (others[2], 1)]
    send(owner, 1, at=crew, body="@all")
    send(owner, 1, at=crew)
    notify()
    assert counts() == [(others[0], 8), (others[2], 2), *[(user, 1) for user in others[3:]]]
    with event.transaction() as tx:
        read_marks.mark_read(tx, others[2], crew, 7)
        message.delete(tx, owner, "user", 7)
    tasks.run_pending()
    assert counts() == [(others[0], 7)], "the messages that remain unread are below the others' level"


def test_who_is_told_already_is_mailed_again_for_important_messages_only(store: Settings) -> None:
    (owner, *others), crew = large_group()
    execute("UPDATE memberships SET level=NULL WHERE user_id>?", (others[2],))
    send(owner, 1, at=crew)
    notify()
    assert scalar("SELECT count(*) FROM waiting_mail") == 3
    execute("DELETE FROM waiting_mail")
    head = event.head()
    send(owner, 1, at=crew)
    notify()
    assert (event.head(), scalar("SELECT count(*) FROM waiting_mail")) == (head + 1, 0)
    send(owner, 1, at=crew, priority="urgent")
    notify()
    assert (event.head(), scalar("SELECT count(*) FROM emails WHERE kind='notification'")) == (head + 2, 3)


def test_the_count_grows_with_the_level(store: Settings) -> None:
    (owner, *others), crew = large_group()
    execute("UPDATE memberships SET level=NULL")
    send(owner, 1, at=crew, body="@user1")
    notify()
    send(owner, 2, at=crew)
    notify()
    assert counts() == [(others[0], 1)]
    execute("UPDATE memberships SET level='all' WHERE user_id=?", (others[0],))
    send(owner, 1, at=crew)
    notify()
    assert counts() == [(others[0], 4)]
    assert scalar("SELECT count(*) FROM events WHERE type='notification.updated'") == 1
