from typing import Any

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import until


@pytest.fixture
def people(served: Gateway) -> list[Client]:
    """Users of a gateway with a worker, because these tests need drains."""
    return served.users(3)


def search(user: Client, q: str) -> list[str]:
    answer = user.get("/search/messages", q=q)
    assert answer.status_code == 200, answer.text
    return [m["body"] for m in answer.json()["items"]]


def wait_until_indexed(user: Client, q: str, count: int) -> None:
    """Wait until the search index finds this many messages."""
    until(lambda: len(search(user, q)) == count)


def notifications(user: Client, **filters: str) -> list[dict[str, Any]]:
    return list(user.get("/notifications", **filters).json()["items"])


def test_search_finds_words_only_in_conversations_of_the_user_newest_first(ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("Crème brûlée for two", to=ben)
    newest = ana.send("more creme brulee, please", to=ben)
    ben.send("creme brulee behind her back", to=cleo)
    wait_until_indexed(ana, "creme", 2)
    wait_until_indexed(cleo, "creme", 1)

    assert ana.get("/search/messages", q="creme").json()["items"][0] == {**newest, "marks": [[5, 5]]}
    assert search(ana, "BRULEE two") == ["Crème brûlée for two"]
    assert search(ana, "brul") == ["more creme brulee, please", "Crème brûlée for two"]
    assert search(ana, "behind") == []
    assert search(ben, "behind") == ["creme brulee behind her back"]
    assert search(ana, f"creme from:@{ben.name}") == []
    assert search(ana, f"creme from:me in:{ben.name} after:2026") == ["more creme brulee, please", "Crème brûlée for two"]
    first = ana.get("/search/messages", q="creme", limit=1).json()
    assert ana.get("/search/messages", q="creme", limit=1, page=first["next"]).json()["items"][0]["body"] == "Crème brûlée for two"


def test_search_takes_the_senders_external_id(ana: Client, ben: Client) -> None:
    ana.gateway.execute("UPDATE users SET external_id=? WHERE id=?", f"shop/{ana.id}", ana.id)
    ana.send("paella for you", to=ben)
    wait_until_indexed(ben, "paella", 1)
    names = (ana.id, f"ext:shop/{ana.id}", ben.id, "ext:nobody")
    found = [ben.get("/search/messages", **{"q": "paella", "from": name}).json()["items"] for name in names]

    assert [len(items) for items in found] == [1, 1, 0, 0]
    assert fields(ben.get("/search/messages", **{"q": "paella", "from": "shop"})) == ["from"]


def test_search_follows_edits_and_deletions_and_finds_nothing_after_leaving(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    edited, deleted = ana.send("aardvark one", at=group), ana.send("aardvark two", at=group)
    wait_until_indexed(ben, "aardvark", 2)

    ana.delete(f"/messages/{deleted['id']}")
    assert search(ben, "aardvark") == ["aardvark one"]
    ana.patch(f"/messages/{edited['id']}", {"body": "badger one"})
    assert search(ben, "aardvark") == []
    wait_until_indexed(ben, "badger", 1)
    ben.delete(f"/conversations/{group}/members/{ben.id}")
    assert search(ben, "badger") == []


@pytest.mark.parametrize(
    "q", ['"', '""', '"a', "*", "a*", "-a", "a OR b", "NEAR(a b)", "body:a", "^a", "(", "a AND", "\\", "'", "%", "+", "{a}", "👍"]
)
def test_operators_in_a_search_text_have_no_meaning(ana: Client, q: str) -> None:
    assert search(ana, q) == []


@pytest.mark.parametrize("q", ["", " ", "x" * 201, "in:a in:b in:c from:d from:e from:f"])
def test_a_search_text_has_1_to_200_characters_and_few_names(ana: Client, q: str) -> None:
    assert fields(ana.get("/search/messages", q=q)) == ["q"]


def test_an_absent_user_is_notified_once_per_conversation(served: Gateway, ana: Client, ben: Client) -> None:
    cursor = ben.now()
    sent = ana.send("one", to=ben)
    until(lambda: len(notifications(ben)) == 1)
    (first,) = notifications(ben)
    assert first["type"] == "message"
    assert first["count"] == 1
    assert first["read_at"] is None
    assert first["data"]["conversation"] == sent["conversation"]
    assert "one" not in first["body"].replace("1", "")

    newest = ana.send("two", to=ben)["id"]
    updated = "SELECT 1 FROM events WHERE stream=? AND type='notification.updated'"
    until(lambda: served.rows(updated, f"user:{ben.id}"))  # before Ben polls, and is online
    assert (notifications(ben)[0]["count"], notifications(ben)[0]["data"]["message"]) == (2, newest)
    assert [n["id"] for n in notifications(ben)] == [first["id"]]
    assert ben.get("/state").json()["notifications_unread"] == 1
    assert ben.get("/state").json()["notifications_unread_messages"] == 1
    assert ben.get("/notifications").json()["unread_messages"] == 1
    types = "notification.created,notification.updated"
    until(lambda: ben.event_types(cursor, types=types) == types.split(","))
    assert notifications(ana) == []


def test_notifications_are_marked_read_by_id_or_all_at_once(served: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("hi", to=ben)
    cleo.send("hi", to=ben)
    until(lambda: len(notifications(ben)) == 2)
    newest, oldest = notifications(ben)
    cursor = ben.now()

    assert ben.post("/notifications/read", {"ids": []}).json() == {"unread": 2}
    assert ben.post("/notifications/read", {"ids": [newest["id"]]}).json() == {"unread": 1}
    assert ben.post("/notifications/read", {"ids": [newest["id"]]}).json() == {"unread": 1}
    assert [n["id"] for n in notifications(ben, unread="true")] == [oldest["id"]]
    assert notifications(ben)[0]["read_at"] is not None
    assert ana.post("/notifications/read", {"ids": [oldest["id"]]}).json() == {"unread": 0}
    assert ben.get("/notifications").json()["unread"] == 1
    assert ben.post("/notifications/read", {"all": True}).json() == {"unread": 0}
    assert [e["data"] for e in ben.events(cursor, types="notification.read")] == [
        {"ids": [newest["id"]], "unread": 1},
        {"all": True, "unread": 0},
    ]
    assert notifications(ben, type="message") == notifications(ben)
    assert notifications(ben, type="community") == []
    assert fields(ben.get("/notifications", type="gossip")) == ["type"]
    assert fields(ben.get("/notifications", unread="yes")) == ["unread"]


def test_reading_the_conversation_reads_its_notification(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    until(lambda: len(notifications(ben, unread="true")) == 1)

    ben.post(f"/conversations/{sent['conversation']}/read", {"message": sent["id"]})
    assert notifications(ben, unread="true") == []
    ana.send("again", to=ben)
    until(lambda: len(notifications(ben)) == 2)


@pytest.mark.parametrize(
    "body", [{}, {"all": False}, {"ids": [1], "all": True}, {"ids": [0]}, {"ids": [2**63]}, {"ids": list(range(1, 1002))}]
)
def test_exactly_one_of_ids_and_all_is_required(ana: Client, body: dict[str, object]) -> None:
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


def test_an_admin_is_notified_of_sent_messages_unless_the_watch_is_off(served: Gateway, ana: Client, ben: Client) -> None:
    watching, not_watching = served.users(2, "admin")
    not_watching.put("/admin/watches", {"message.sent": False})
    ana.send("hi", to=ben)

    until(lambda: notifications(watching, type="admin"))
    assert notifications(not_watching) == []


def test_consumers_catch_up_with_the_log(served: Gateway, ana: Client, ben: Client) -> None:
    admin = served.user("admin")
    ana.send("hi", to=ben)

    until(lambda: all(c["lag_s"] == 0 for c in admin.get("/admin/jobs").json()["consumers"]))
    assert {c["consumer"] for c in admin.get("/admin/jobs").json()["consumers"]} >= {"search", "notify", "activity", "watch"}


def test_notifications_and_search_need_a_token(served: Gateway) -> None:
    problem(served.anonymous().get("/notifications"), 401, "unauthorized")
    problem(served.anonymous().get("/search/messages", q="x"), 401, "unauthorized")
