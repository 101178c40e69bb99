"""The long poll of the whole log, by the host's backend."""

import time
from typing import Any

import pytest

from models.identity import token
from models.log import event, type_patterns
from models.sync import catchup, whole_log
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

SQL = "SELECT id, stream, type FROM events WHERE id>? ORDER BY id"


def log(root: Client, cursor: str, **params: Any) -> dict[str, Any]:
    answer = root.get("/admin/log", cursor=cursor, **{"timeout": 0, **params})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def whole(root: Client, cursor: str, **params: Any) -> list[dict[str, Any]]:
    """All that is in the log after a cursor."""
    events, more = [], True
    while more:
        answer = log(root, cursor, **params)
        events += answer["events"]
        cursor, more = answer["cursor"], answer["more"]
    return events


def number(cursor: str) -> int:
    return int(cursor.rpartition("-")[2])


def test_the_whole_log_is_read_once_with_its_streams(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    begin = admin.get("/admin/log").json()
    assert begin == {"events": [], "cursor": begin["cursor"], "more": False}
    message = ana.send("hello", to=ben)
    cleo.post("/posts", {"body": "a post"})
    admin.post(f"/admin/users/{cleo.id}/tokens", {})
    found = whole(admin, begin["cursor"], limit=2)
    assert [(number(e["id"]), e["stream"], e["type"]) for e in found] == gateway.rows(SQL, number(begin["cursor"]))
    sent = next(e for e in found if e["type"] == "message.created")
    assert sent == {
        **{"id": sent["id"], "type": "message.created", "at": message["created_at"], "data": message},
        "stream": f"conversation:{message['conversation']}",
    }
    everything = whole(admin, "begin", limit=1000)
    assert [(number(e["id"]), e["stream"], e["type"]) for e in everything] == gateway.rows(SQL, 0)
    assert everything[-len(found) :] == found


def test_types_are_whole_or_beginnings(admin: Client, ana: Client, ben: Client) -> None:
    begin = admin.now()
    message = ana.send("hello", to=ben)
    ana.patch(f"/messages/{message['id']}", {"body": "hello, Ben"})
    for types, expected in (
        ("message.*", ["message.created", "message.updated"]),
        ("message.updated,conversation.created", ["conversation.created", "conversation.created", "message.updated"]),
        ("nothing.such", []),
    ):
        assert [e["type"] for e in whole(admin, begin, types=types)] == expected
        assert [e["type"] for e in whole(admin, begin, types=types + ",m.*", limit=1)] == expected
    assert whole(admin, begin, types="*") == whole(admin, begin)
    for wrong in ("Message", "message.*.x", "message*", "a" * 61):
        assert fields(admin.get("/admin/log", cursor=begin, types=wrong)) == ["types"]
    assert fields(admin.get("/admin/log", cursor=begin, limit=1001)) == ["limit"]
    assert fields(admin.get("/admin/log", cursor="x")) == ["cursor"]


def test_a_poll_waits_for_an_event_of_its_types(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    conversation = ana.send("first", to=ben)["conversation"]
    cursor = admin.now()
    poll = gateway.later(admin.get, "/admin/log", cursor=cursor, types="message.updated", timeout=60)
    gateway.waiting(1, "log")
    message = ana.send("second", at=conversation)
    ana.patch(f"/messages/{message['id']}", {"body": "changed"})
    answer = poll.result().json()
    assert [e["data"]["body"] for e in answer["events"]] == ["changed"]
    assert whole(admin, answer["cursor"]) == []


def test_only_a_live_token_of_an_admin_reads_it(gateway: Gateway, ana: Client) -> None:
    problem(ana.get("/admin/log"), 403, "forbidden")
    host = gateway.user("admin")
    poll = gateway.later(host.get, "/admin/log", cursor=host.now(), types="nothing.such", timeout=60)
    gateway.waiting(1, "log")
    with gateway.store(), event.transaction() as tx:
        token.revoke(tx, host.id)
    problem(poll.result(), 401, "unauthorized")


def test_a_poll_ends_when_its_admin_is_none_any_more(gateway: Gateway, admin: Client) -> None:
    other = gateway.user("admin")
    poll = gateway.later(other.get, "/admin/log", cursor=other.now(), types="nothing.such", timeout=60)
    gateway.waiting(1, "log")
    assert admin.patch(f"/admin/users/{other.id}", {"role": "user"}).status_code == 200
    problem(poll.result(), 403, "forbidden")


def test_a_cursor_that_is_not_kept_is_gone(gateway: Gateway, admin: Client) -> None:
    now = admin.now()
    epoch = now.partition("-")[0]
    for cursor in (f"{epoch}-999999", "other-1"):
        assert problem(admin.get("/admin/log", cursor=cursor, timeout=0), 410, "cursor-expired")["cursor"] == now


def test_a_slice_reads_a_bounded_part_of_the_log(store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_log, "MAX_SCANNED_EVENTS", 10)
    with event.transaction() as tx:
        for n in range(25):
            tx.append("posts", "rare.one" if n == 24 else "frequent.one", b"{}")
    rare, position, slices = type_patterns.parse(["rare.*"]), catchup.BEGINNING, []
    while not slices or slices[-1].more:
        slices.append(whole_log.read(position, rare, 5))
        position = slices[-1].position
    assert [(len(s.events), s.position) for s in slices] == [(0, 10), (0, 20), (1, 25)]
    monkeypatch.setattr(whole_log, "MAX_SLICE_BYTES", 5)
    assert len(whole_log.read(0, type_patterns.ALL_TYPES, 1000).events) == 3
    now = int(time.time() * 1000)
    assert (whole_log.position_at(now - 3_600_000), whole_log.position_at(now + 3_600_000)) == (0, 25)
