"""The host's notifications: each receiver is notified once even after a kill, in their language, grouped, and at its time."""

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers import host_notices as notifying
from jobs.consumers.host_notices import RECEIVERS_PER_TRANSACTION, HostNoticeConsumer
from jobs.drain.drain import drain
from jobs.insight.explain import explain, explain_own
from jobs.insight.rehearsal import rehearse
from jobs.mail import digests, recheck
from jobs.rules.host import CountMovedError
from jobs.rules.precedence import BLOCKED
from metrics.declared import NOTIFICATIONS_TOTAL
from models.chat import blocks, read_marks
from models.log import event
from models.notices import host_notices, host_types, notification, outbox, preference, topics
from models.notices.host_notices import NewNotice
from models.notices.host_types import Definition, TypeWords
from models.notices.preference import Choice
from models.store.database import engine, execute, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import group, people, scalar, send

SHIPPED = Definition({"en": TypeWords("Order {{ order }} left"), "de": TypeWords("Bestellung {{ order }} ist unterwegs")})
COMMENTED = Definition(
    {"en": TypeWords("{{ actor }} commented on {{ doc }}", "{{ actor }} and {{ others }} more on {{ doc }}", "{{ n }} in all")},
    group_by=["doc"],
    url="https://shop.example.org/docs/{{ doc }}",
)


def define(name: str, definition: Definition = SHIPPED) -> None:
    with event.transaction() as tx:
        host_types.put(tx, name, definition)


def notify(users: object = None, audience: str = "to", kind: str = "order.shipped", **fields: object) -> int:
    """Request a notification; returns its event. `users` are ids, a topic, a conversation or a role."""
    data = msgspec.json.encode(fields.pop("values", {"order": 42}))
    receivers = msgspec.json.encode(sorted(users)).decode() if isinstance(users, list) else str(users)
    usual: dict[str, object] = {"actor": None, "url": None, "key": None, "due_ms": None, "unless_read": False}
    with event.transaction() as tx:
        return host_notices.request(tx, NewNotice(type=kind, audience=audience, receivers=receivers, data=data, **usual | fields))  # type: ignore[arg-type]


def run() -> None:
    drain(HostNoticeConsumer())


def shown(user: int) -> list[dict[str, object]]:
    return notification.list_page(user, None, None, 50, unread_only=False)


def titles(user: int) -> list[object]:
    return [one["title"] for one in shown(user)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 5))
def test_a_kill_at_any_commit_leaves_everyone_exactly_one(store: Settings, when: str, commit: int) -> None:
    users = people(*[f"user{n}" for n in range(2 * RECEIVERS_PER_TRANSACTION + 1)])
    define("order.shipped")
    number = notify(users)
    drain(HostNoticeConsumer(), lambda: True)  # its checkpoint is there
    killed_at(store, "tasks.drain_log(HostNoticeConsumer())", commit, when)
    run()
    run()
    assert scalar("SELECT count(*) FROM notifications") == scalar("SELECT count(DISTINCT user_id) FROM notifications") == len(users)
    assert scalar("SELECT sum(count) FROM notifications") == len(users)
    assert scalar("SELECT count(*) FROM events WHERE type='notification.created'") == len(users)
    assert scalar("SELECT done FROM host_notices WHERE event=? AND ended_ms IS NOT NULL", number) == len(users)


@pytest.mark.parametrize("audience", ["to", "role", "topic", "conversation"])
def test_the_progress_is_listed(store: Settings, monkeypatch: pytest.MonkeyPatch, audience: str) -> None:
    monkeypatch.setattr(notifying, "RECEIVERS_PER_TRANSACTION", 2)
    users = people("ana", "ben", "eve")
    with event.transaction() as tx:
        for user in users:
            topics.join(tx, "shop", user)
    subject = {"to": users, "role": "user", "topic": "shop", "conversation": group(users[0], users[1:])}[audience]
    define("order.shipped")
    number = notify(subject, audience)
    later = notify(users, due_ms=engine().now_ms() + 60_000)

    def progress() -> list[tuple[object, ...]]:
        listed = host_notices.list_newest(10)
        return [tuple(notice[name] for name in ("event", "receivers", "state", "done", "total")) for notice in listed]

    named = None if audience == "to" else str(subject)
    waiting = (later, None, "waiting", 0, None)
    assert progress() == [waiting, (number, named, "running", 0, None)]
    first, *_ = HostNoticeConsumer().prepare(event.read_after(number - 1, 1))
    with event.transaction() as tx:
        HostNoticeConsumer().write(tx, first)
    assert progress() == [waiting, (number, named, "running", 2, 3)]
    run()
    assert progress() == [waiting, (number, named, "done", 3, 3)]


def test_words_are_in_the_language_of_the_receiver(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    for user, locale in ((ana, "de-AT"), (ben, "fr"), (eve, "en-GB")):
        execute("UPDATE profiles SET locale=? WHERE user_id=?", (locale, user))
    define("order.shipped")
    notify([ana, ben, eve])
    run()
    assert [titles(user) for user in (ana, ben, eve)] == [["Bestellung 42 ist unterwegs"], ["Order 42 left"], ["Order 42 left"]]


def test_the_same_type_and_values_are_one_notification_while_unread(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    define("doc.commented", COMMENTED)
    for actor, doc in ((ben, 7), (eve, 7), (ben, 8), (ana, 7)):
        notify([ana], kind="doc.commented", actor=actor, values={"doc": doc})
    run()
    other, first = shown(ana)
    assert (first["title"], first["body"], first["count"]) == ("Eve and 1 more on 7", "2 in all", 2)
    assert (first["url"], first["type"]) == ("https://shop.example.org/docs/7", "doc.commented")
    assert (other["title"], other["count"], msgspec.json.decode(other["data"])) == ("Ben commented on 8", 1, {"doc": 8})  # type: ignore[arg-type]
    [last] = rows("SELECT data FROM events WHERE type='notification.updated' ORDER BY id DESC LIMIT 1")
    assert msgspec.json.decode(last[0]) == msgspec.json.decode(msgspec.json.encode(first))
    with event.transaction() as tx:
        notification.mark_read(tx, ana, None)
    notify([ana], kind="doc.commented", actor=eve, values={"doc": 7})
    run()
    assert titles(ana)[0] == "Eve commented on 7"


def test_words_are_never_rendered_in_a_transaction(store: Settings) -> None:
    [ana] = people("ana")
    define("doc.commented", COMMENTED)
    values = {"doc": 7, "actor": "Bot"}
    notify([ana], kind="doc.commented", values=values)
    run()
    number = notify([ana], kind="doc.commented", values=values)
    notifier = HostNoticeConsumer()
    batch, _ = notifier.prepare(event.read_after(number - 1, 1))
    with event.transaction() as tx:
        notification.mark_read(tx, ana, None)
    with pytest.raises(CountMovedError), event.transaction() as tx:
        notifier.write(tx, batch)
    run()
    assert [(one["title"], one["count"]) for one in shown(ana)] == [("Bot commented on 7", 1)] * 2
    assert rows("SELECT 1 FROM dead_work") == []


def test_without_anything_to_group_by_each_is_one_of_its_own(store: Settings) -> None:
    [ana] = people("ana")
    define("order.shipped")
    notify([ana])
    notify([ana])
    run()
    assert [one["count"] for one in shown(ana)] == [1, 1]


def test_a_topic_is_who_was_in_it_at_the_event(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    define("order.shipped")
    with event.transaction() as tx:
        topics.join(tx, "shop", ana)
        topics.join(tx, "shop", ben)
        topics.join(tx, "shop", ben)
    notify("shop", "topic")
    with event.transaction() as tx:
        topics.leave(tx, "shop", ana)
        topics.join(tx, "shop", eve)
    notify("shop", "topic", actor=ben)
    assert [user.id for user in topics.members("shop", None, 10)] == [ben, eve]
    with event.transaction() as tx:
        assert topics.trim(tx, 10) == 0, "the first is not delivered"
    run()
    assert [len(shown(user)) for user in (ana, ben, eve)] == [1, 1, 1]
    with event.transaction() as tx:
        assert topics.trim(tx, 10) == 1


def test_conversations_and_roles(store: Settings) -> None:
    ana, ben, eve, gone = people("ana", "ben", "eve", "gone")
    [root] = people("root", role="admin")
    crew = group(ana, [ben, gone])
    execute("UPDATE users SET status='suspended' WHERE id=?", (gone,))
    define("order.shipped")
    notify(crew, "conversation", actor=ana)
    notify("admin", "role")
    run()
    assert [len(shown(user)) for user in (ana, ben, eve, gone, root)] == [0, 1, 0, 0, 1]
    assert msgspec.json.decode(shown(ben)[0]["data"]) == {"conversation": crew, "order": 42}  # type: ignore[arg-type]


def test_later_ones_wait_for_their_time(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    define("order.shipped")
    later = notify([ana, ben], due_ms=engine().now_ms() + 3_600_000)
    tasks.run_pending()
    assert shown(ana) == []
    execute("UPDATE host_notices SET due_ms=? WHERE event=?", (engine().now_ms(), later))
    tasks.run_pending()
    tasks.run_pending()
    assert [len(shown(user)) for user in (ana, ben)] == [1, 1]


def test_a_later_one_that_is_killed_goes_on(store: Settings) -> None:
    users = people(*[f"user{n}" for n in range(RECEIVERS_PER_TRANSACTION + 1)])
    define("order.shipped")
    later = notify(users, due_ms=engine().now_ms() + 3_600_000)
    run()
    execute("UPDATE host_notices SET due_ms=? WHERE event=?", (engine().now_ms(), later))
    killed_at(store, "tasks.drain_log(HostNoticeConsumer())", 1, "after")
    assert scalar("SELECT count(*) FROM notifications") == RECEIVERS_PER_TRANSACTION
    run()
    assert scalar("SELECT count(*) FROM notifications") == len(users)


def test_unless_read_leaves_out_who_has_read_it(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    define("doc.commented", COMMENTED)
    notify([ana, ben], kind="doc.commented", values={"doc": 7, "actor": "Bot"})
    run()
    with event.transaction() as tx:
        notification.mark_read(tx, ana, None)
    notify([ana, ben], kind="doc.commented", values={"doc": 7, "actor": "Bot"}, unless_read=True)
    run()
    assert [one["count"] for user in (ana, ben) for one in shown(user)] == [1, 2]


def test_unless_read_of_a_conversation_is_about_its_messages(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    crew = group(ana, [ben, eve])
    [message] = send(ana, at=crew)
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, crew, message)
    execute("UPDATE messages SET event=0 WHERE id=?", (*send(ana, at=crew),))  # as an import writes it
    define("order.shipped")
    notify(crew, "conversation", unless_read=True, actor=ana)
    run()
    assert [len(shown(user)) for user in (ben, eve)] == [0, 1]


def test_a_key_is_kept_for_good(store: Settings) -> None:
    [ana] = people("ana")
    define("order.shipped")
    first = notify([ana], key="order-42")
    run()
    with event.transaction() as tx:
        host_types.delete(tx, "order.shipped")
        host_notices.trim(tx, engine().now_ms() + 1, 10)
    assert notify([ana], key="order-42") == first
    run()
    assert len(shown(ana)) == 1
    assert scalar("SELECT count(*) FROM events WHERE type=?", host_notices.REQUESTED) == 1


def test_a_template_that_fails_parks_its_event_alone(store: Settings) -> None:
    [ana] = people("ana")
    define("order.shipped")
    bad = notify([ana], values={})
    notify([ana])
    run()
    assert titles(ana) == ["Order 42 left"]
    assert [notice["state"] for notice in host_notices.list_newest(10)] == ["done", "failed"]
    [(number, consumer, error)] = rows("SELECT event_id, consumer, error FROM dead_work")
    assert (number, consumer) == (bad, "host")
    assert error == "HostNoticeError: words.en.title: line 1: 'order' is undefined"
    define("order.shipped", Definition({"en": TypeWords("Your order left")}))
    execute("UPDATE dead_work SET retry=?", (True,))
    run()
    assert titles(ana) == ["Your order left", "Order 42 left"]
    assert [notice["state"] for notice in host_notices.list_newest(10)] == ["done", "done"]
    assert rows("SELECT 1 FROM dead_work") == []


def test_preferences_and_defaults_of_the_type(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    define("order.shipped", msgspec.structs.replace(SHIPPED, email="daily", url="/orders/{{ order }}"))
    choices = {ben: Choice(True, "instant"), eve: Choice(False, "off")}
    with event.transaction() as tx:
        for user, choice in choices.items():
            preference.set_choices(tx, user, {"order.shipped": choice})
    counted = NOTIFICATIONS_TOTAL.labels("host", "in_app")
    before = counted._value.get()
    number = notify([ana, ben, eve])
    run()
    assert [len(shown(user)) for user in (ana, ben, eve)] == [1, 1, 0]
    assert counted._value.get() - before == 2
    assert rows("SELECT receiver FROM emails") == [(ben,)]
    assert rows("SELECT user_id FROM waiting_mail") == [(ana,)]
    execute("UPDATE waiting_mail SET due_ms=0, since_ms=0")
    digests.collect(lambda: False)
    assert rows("SELECT receiver, kind FROM emails ORDER BY id") == [(ben, "notification"), (ana, "digest")]
    decided = {user: explain(number, user)["rules"] for user in (ana, ben, eve)}
    assert [rule["type"] for [rule] in decided.values()] == ["order.shipped"] * 3
    assert decided[eve][0]["decided"] == ["off by preference", "mail: off by preference"]
    assert decided[ben][0]["decided"] == ["notified", "mailed"]
    [mine] = shown(ben)
    assert explain_own(mine["id"], ben)["rules"] == [  # type: ignore[arg-type]
        {"rule": "order.shipped", "type": "order.shipped", "decided": ["notified", "mailed"]}
    ]
    counts = rehearse()
    assert counts["order.shipped", "notified", "daily"] == counts["order.shipped", "notified", "instant"] == 1


def test_an_urgent_one_is_mailed_at_once_and_its_values_may_be_named_anything(store: Settings) -> None:
    [ana] = people("ana")
    define("order.lost", msgspec.structs.replace(SHIPPED, email="daily", urgent=True))
    notify([ana], kind="order.lost", values={"order": 42, "conversation": "x", "n": "y"})
    run()
    mail = outbox.next_due(engine().now_ms())
    assert mail is not None
    with event.transaction() as tx:
        current = recheck.current_mail(tx, mail)
    assert current is not None
    assert [item["title"] for item in current.data["items"]] == ["Order 42 left"]


def test_an_actor_whom_a_receiver_blocks_causes_them_nothing(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    define("doc.commented", COMMENTED)
    with event.transaction() as tx:
        blocks.block(tx, ana, ben)
    first, _ = [notify([ana, eve], kind="doc.commented", actor=actor, values={"doc": actor}) for actor in (ben, eve)]
    run()
    assert (len(shown(ana)), len(shown(eve))) == (1, 1), "of one's own acts nobody is notified"
    [decided] = explain(first, ana)["rules"]
    assert decided["decided"] == [BLOCKED]
