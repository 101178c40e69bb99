import msgspec

from conf import Settings
from jobs.consumers.activity import ActivityConsumer, sampled
from jobs.drain.drain import drain
from models.log import event
from models.records import activity, records
from models.records.activity import Report
from models.records.records import RecordFilter
from models.store.database import execute, rows
from tests.jobs.people import people, scalar, send


def test_a_message_leaves_one_record_with_user_action_and_site(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE users SET site='north' WHERE id=?", (ana,))
    [message] = send(ana, to=ben, priority="important")
    drain(ActivityConsumer({}))
    [(_, record)] = records.list_newest(activity.RECORD_TYPE, RecordFilter(), None, 10)
    metadata = msgspec.json.decode(record.pop("metadata"))
    assert metadata == {"message": message, "conversation": 1, "priority": "important"}
    assert {k: record[k] for k in ("user", "action", "triggered_by", "site")} == {
        "user": ana,
        "action": "message.sent",
        "triggered_by": ana,
        "site": "north",
    }
    assert scalar("SELECT at_ms FROM activities") == scalar("SELECT created_ms FROM messages")
    assert scalar("SELECT count(*) FROM activities WHERE description || metadata LIKE '%words%'") == 0


def test_a_share_is_sampled_and_the_sample_is_always_the_same() -> None:
    kept = [n for n in range(10_000) if sampled("message.sent", n, 0.1)]
    assert 950 < len(kept) < 1050
    assert kept == [n for n in range(10_000) if sampled("message.sent", n, 0.1)]
    assert not any(sampled("message.sent", n, 0.0) for n in range(1000))
    assert all(sampled("message.sent", n, 1.0) for n in range(1000))


def test_important_and_urgent_messages_are_always_recorded(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    for priority in ("normal", "important", "urgent"):
        send(ana, 10, to=ben, priority=priority)
    drain(ActivityConsumer({"message.sent": 0.0}))
    assert scalar("SELECT count(*) FROM activities") == 20


def report(ana: int, *actions: str, minute: int = 0, **metadata: object) -> None:
    with event.transaction() as tx:
        tx.now_ms = 1_700_000_040_000 + minute * 60_000
        for action in actions:
            activity.report(tx, Report(ana, action, "", metadata, ana, None))


def test_equal_reports_are_one_record_per_minute(store: Settings) -> None:
    (ana,) = people("ana")
    report(ana, "page.viewed", "page.viewed", "shop.bought", "page.viewed", page="/x")
    report(ana, "page.viewed", page="/y")
    report(ana, "page.viewed", "page.viewed", page="/x", minute=1)
    report(ana, "page.viewed", "page.viewed", count=7)
    for _ in range(2):
        drain(ActivityConsumer({}))
    found = records.list_oldest(activity.RECORD_TYPE, RecordFilter(ana), (0, 0), 20)
    reported = [(r.view["action"], msgspec.json.decode(r.view["metadata"])) for r in found]
    assert sorted(reported[:-1], key=str) == [
        ("page.viewed", {"count": 7}),
        ("page.viewed", {"count": 7}),
        ("page.viewed", {"page": "/x", "count": 3}),
        ("page.viewed", {"page": "/y"}),
        ("shop.bought", {"page": "/x"}),
    ]
    assert reported[-1] == ("page.viewed", {"page": "/x", "count": 2})
    assert rows("SELECT hour_ms, action, site, count FROM activity_hourly WHERE action<>'user.created' ORDER BY action") == [
        (1_699_999_200_000, "page.viewed", "", 8),
        (1_699_999_200_000, "shop.bought", "", 1),
    ]


def test_messages_are_records_of_their_own_and_hours_count_them_by_site(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE users SET site='north' WHERE id=?", (ana,))
    send(ana, 300, to=ben)
    send(ben, 20, to=ana)
    drain(ActivityConsumer({"user.created": 0.0}))
    assert scalar("SELECT count(*) FROM activities") == 320
    assert rows("SELECT site, sum(count) FROM activity_hourly GROUP BY site ORDER BY site") == [("", 20), ("north", 300)]
