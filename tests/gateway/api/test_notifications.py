from typing import Any

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway, until


@pytest.fixture
def people(served: Gateway) -> list[Client]:
    """These tests need drains."""
    return served.users(3)


def found(user: Client, q: str) -> list[str]:
    answer = user.get("/search/messages", q=q)
    assert answer.status_code == 200, answer.text
    return [m["body"] for m in answer.json()["items"]]


def indexed(user: Client, q: str, count: int) -> None:
    """Returns when the search drain has come so far."""
    until(lambda: len(found(user, q)) == count)


def told(user: Client, **filters: str) -> list[dict[str, Any]]:
    return list(user.get("/notifications", **filters).json()["items"])


def test_search_finds_words_in_ones_own_conversations_newest_first(ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("Crème brûlée for two", to=ben)
    newest = ana.send("more creme brulee, please", to=ben)
    ben.send("creme brulee behind her back", to=cleo)
    indexed(ana, "creme", 2)
    indexed(cleo, "creme", 1)

    assert ana.get("/search/messages", q="creme").json()["items"][0] == newest
    assert found(ana, "BRULEE two") == ["Crème brûlée for two"]
    assert found(ana, "brul") == ["more creme brulee, please", "Crème brûlée for two"]
    assert found(ana, "behind") == []
    assert found(ben, "behind") == ["creme brulee behind her back"]
    first = ana.get("/search/messages", q="creme", limit=1).json()
    assert ana.get("/search/messages", q="creme", limit=1, page=first["next"]).json()["items"][0]["body"] == "Crème brûlée for two"


def test_search_follows_edits_and_deletions_and_forgets_who_left(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    edited, deleted = ana.send("aardvark one", at=group), ana.send("aardvark two", at=group)
    indexed(ben, "aardvark", 2)

    ana.delete(f"/messages/{deleted['id']}")
    assert found(ben, "aardvark") == ["aardvark one"]
    ana.patch(f"/messages/{edited['id']}", {"body": "badger one"})
    assert found(ben, "aardvark") == []
    indexed(ben, "badger", 1)
    ben.delete(f"/conversations/{group}/members/{ben.id}")
    assert found(ben, "badger") == []


@pytest.mark.parametrize(
    "q", ['"', '""', '"a', "*", "a*", "-a", "a OR b", "NEAR(a b)", "body:a", "^a", "(", "a AND", "\\", "'", "%", "+", "{a}", "👍"]
)
def test_search_text_is_words_and_no_language(ana: Client, q: str) -> None:
    assert found(ana, q) == []


@pytest.mark.parametrize("q", ["", " ", "x" * 201])
def test_search_needs_words(ana: Client, q: str) -> None:
    assert fields(ana.get("/search/messages", q=q)) == ["q"]


def test_who_is_not_looking_is_notified_once_a_conversation(ana: Client, ben: Client) -> None:
    cursor = ben.now()
    sent = ana.send("one", to=ben)
    until(lambda: len(told(ben)) == 1)
    (first,) = told(ben)
    assert first["type"] == "message"
    assert first["count"] == 1
    assert first["read_at"] is None
    assert first["data"]["conversation"] == sent["conversation"]
    assert "one" not in first["body"].replace("1", "")

    ana.send("two", to=ben)
    until(lambda: told(ben)[0]["count"] == 2)
    assert [n["id"] for n in told(ben)] == [first["id"]]
    assert ben.get("/state").json()["notifications_unread"] == 1
    kinds = "notification.created,notification.updated"
    until(lambda: ben.kinds(cursor, types=kinds) == kinds.split(","))
    assert told(ana) == []


def test_notifications_are_marked_read_by_id_or_all(served: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("hi", to=ben)
    cleo.send("hi", to=ben)
    until(lambda: len(told(ben)) == 2)
    newest, oldest = told(ben)
    cursor = ben.now()

    assert ben.post("/notifications/read", {"ids": [newest["id"]]}).json() == {"unread": 1}
    assert ben.post("/notifications/read", {"ids": [newest["id"]]}).json() == {"unread": 1}
    assert [n["id"] for n in told(ben, unread="true")] == [oldest["id"]]
    assert told(ben)[0]["read_at"] is not None
    assert ana.post("/notifications/read", {"ids": [oldest["id"]]}).json() == {"unread": 0}
    assert ben.get("/notifications").json()["unread"] == 1
    assert ben.post("/notifications/read", {"all": True}).json() == {"unread": 0}
    assert [e["data"] for e in ben.events(cursor, types="notification.read")] == [
        {"ids": [newest["id"]], "unread": 1},
        {"all": True, "unread": 0},
    ]
    assert told(ben, type="message") == told(ben)
    assert told(ben, type="community") == []
    assert fields(ben.get("/notifications", type="gossip")) == ["type"]
    assert fields(ben.get("/notifications", unread="yes")) == ["unread"]


def test_reading_the_conversation_reads_its_notification(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    until(lambda: len(told(ben, unread="true")) == 1)

    ben.post(f"/conversations/{sent['conversation']}/read", {"message": sent["id"]})
    assert told(ben, unread="true") == []
    ana.send("again", to=ben)
    until(lambda: len(told(ben)) == 2)


@pytest.mark.parametrize(
    "body", [{}, {"all": False}, {"ids": [1], "all": True}, {"ids": [0]}, {"ids": [2**63]}, {"ids": list(range(1, 1002))}]
)
def test_exactly_one_of_ids_and_all_is_read(ana: Client, body: dict[str, object]) -> None:
    assert fields(ana.post("/notifications/read", body)) == ["ids"]


def test_a_sent_message_leaves_one_activity_record(served: Gateway, ana: Client, ben: Client) -> None:
    admin = served.user("admin")
    ana.send("nobody's business", to=ben, client_id="a")
    ana.post("/messages", {"to": ben.id, "body": "nobody's business", "client_id": "a"})
    ana.send("done", to=ben)

    until(lambda: len(admin.get("/admin/activity", user=ana.id).json()["items"]) == 2)
    answer = admin.get("/admin/activity", user=ana.id, action="message.sent")
    assert [(r["user"], r["action"]) for r in answer.json()["items"]] == [(ana.id, "message.sent")] * 2
    assert "business" not in answer.text


def test_an_admin_hears_of_sent_messages_unless_it_turned_that_off(served: Gateway, ana: Client, ben: Client) -> None:
    hearing, deaf = served.users(2, "admin")
    deaf.put("/admin/watches", {"message.sent": False})
    ana.send("hi", to=ben)

    until(lambda: told(hearing, type="admin"))
    assert told(deaf) == []


def test_consumers_catch_up_with_the_log(served: Gateway, ana: Client, ben: Client) -> None:
    admin = served.user("admin")
    ana.send("hi", to=ben)

    until(lambda: all(c["lag_s"] == 0 for c in admin.get("/admin/jobs").json()["consumers"]))
    assert {c["consumer"] for c in admin.get("/admin/jobs").json()["consumers"]} >= {"search", "notify", "activity", "watch"}


def test_notifications_are_for_whoever_has_a_token(served: Gateway) -> None:
    problem(served.anonymous().get("/notifications"), 401, "unauthorized")
    problem(served.anonymous().get("/search/messages", q="x"), 401, "unauthorized")
