import msgspec

from conf import Settings
from jobs.activity import Activities, sampled
from jobs.drain import drain
from models import activity
from models.database import execute
from tests.jobs.people import people, scalar, send


def test_a_message_leaves_one_record_of_who_did_what_where(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE users SET site='north' WHERE id=?", (ana,))
    [message] = send(ana, to=ben, priority="important")
    drain(Activities({}))
    [record] = activity.listed({}, None, None, None, 10)
    told = msgspec.json.decode(record.pop("metadata"))
    assert told == {"message": message, "conversation": 1, "priority": "important"}
    assert {k: record[k] for k in ("user", "action", "triggered_by", "site")} == {
        "user": ana,
        "action": "message.sent",
        "triggered_by": ana,
        "site": "north",
    }
    assert scalar("SELECT at_ms FROM activities") == scalar("SELECT created_ms FROM messages")
    assert scalar("SELECT count(*) FROM activities WHERE description || metadata LIKE '%words%'") == 0


def test_a_share_is_kept_and_a_redo_keeps_the_same() -> None:
    kept = [n for n in range(10_000) if sampled("message.sent", n, 0.1)]
    assert 950 < len(kept) < 1050
    assert kept == [n for n in range(10_000) if sampled("message.sent", n, 0.1)]
    assert not any(sampled("message.sent", n, 0.0) for n in range(1000))
    assert all(sampled("message.sent", n, 1.0) for n in range(1000))


def test_important_and_urgent_are_kept_whatever_the_share(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    for priority in ("normal", "important", "urgent"):
        send(ana, 10, to=ben, priority=priority)
    drain(Activities({"message.sent": 0.0}))
    assert scalar("SELECT count(*) FROM activities") == 20
