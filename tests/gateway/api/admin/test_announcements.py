"""Announcements of admins, reported activity, and explanations of notifications, on a gateway with a worker."""

from typing import Any

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import until

GOOD = {"role": "user", "type": "system", "title": "Down on Sunday", "body": "At noon."}


@pytest.fixture(scope="module")
def root(served: Gateway) -> Client:
    return served.user("admin")


def titles(client: Client, kind: str) -> list[str]:
    return [item["title"] for item in client.get("/notifications", type=kind).json()["items"]]


def test_an_announcement_is_accepted_at_once_and_reaches_all_users_of_its_role(served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    cursor = ana.now()
    answer = root.post("/admin/notifications", GOOD)
    assert answer.status_code == 202
    [event] = until(lambda: [e for e in ana.events(cursor) if e["type"] == "notification.created"])
    assert (event["data"]["title"], event["data"]["body"]) == ("Down on Sunday", "At noon.")
    until(lambda: "Down on Sunday" in titles(ben, "system"))
    job = until(lambda: next((j for j in root.get("/admin/jobs").json()["fanouts"] if j["state"] == "done"), None))
    assert job["job"] == answer.json()["job"]
    assert job["done"] == job["total"] >= 2
    assert titles(root, "system") == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": None}, "role"),
        ({"user_ids": [1]}, "role"),
        ({"role": "owner"}, "role"),
        ({"role": None, "user_ids": []}, "user_ids"),
        ({"role": None, "user_ids": [0]}, "user_ids"),
        ({"role": None, "user_ids": [1] * 10_001}, "user_ids"),
        ({"type": "weather"}, "type"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"body": "x" * 2_001}, "body"),
        ({"body": "\0"}, "body"),
        ({"data": {"x": "y" * 5_000}}, "data"),
        ({"data": []}, "data"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_invalid_field_of_an_announcement_is_named(served: Gateway, root: Client, wrong: dict[str, Any], field: str) -> None:
    before = served.rows("SELECT count(*) FROM fanouts")
    assert fields(root.post("/admin/notifications", {**GOOD, **wrong})) == [field]
    assert served.rows("SELECT count(*) FROM fanouts") == before


def test_activity_reported_by_another_application_is_recorded_and_admins_are_notified(served: Gateway, root: Client) -> None:
    ana, other = served.user(), served.user("admin")
    reported = {"action": "invoice.paid", "description": "Paid", "metadata": {"amount": "12.50"}, "user": ana.id, "site": "north"}
    assert root.post("/activity", reported).status_code == 202
    [record] = until(lambda: root.get("/admin/activity", action="invoice.paid").json()["items"])
    assert {name: record[name] for name in reported} == reported
    assert record["triggered_by"] == root.id
    until(lambda: "1 activity" in titles(other, "admin"))
    assert other.put("/admin/watches", {"user.activity": False}).json()["user.activity"] is False


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"action": ""}, "action"),
        ({"action": "two words"}, "action"),
        ({"action": "x" * 65}, "action"),
        ({"description": "x" * 501}, "description"),
        ({"metadata": {"x": "y" * 5_000}}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"user": 2**52}, "user"),
        ({"user": 0}, "user"),
        ({"site": "x" * 65}, "site"),
        ({"site": ""}, "site"),
        ({"action": None}, "action"),
    ],
)
def test_an_invalid_field_of_activity_is_named(root: Client, wrong: dict[str, Any], field: str) -> None:
    assert fields(root.post("/activity", {"action": "invoice.paid", **wrong})) == [field]


def test_a_like_is_delivered_to_the_open_poll_of_the_author_mailed_and_explained(served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    post = ana.post("/posts", {"body": "a post"}).json()["id"]
    poll = ana.polling(ana.now())
    assert ben.put(f"/posts/{post}/like").json() == {"liked": True, "likes_count": 1}
    [event] = poll.result().json()["events"]
    assert (event["type"], event["data"]["title"]) == ("notification.created", f"{ben.name.capitalize()} liked your post")
    until(lambda: served.rows("SELECT 1 FROM emails WHERE receiver=? AND state='sent'", ana.id))
    liked = served.rows("SELECT max(id) FROM events WHERE type='post.liked'")[0][0]
    cursor = event["id"].partition("-")[0] + f"-{liked}"
    explanation = root.get("/admin/explain", event=cursor, user=ana.id).json()
    [rule] = explanation["rules"]
    assert (rule["rule"], rule["decided"], rule["notification"]["id"]) == ("like", ["notified", "mailed"], event["data"]["id"])
    assert [mail["state"] for mail in rule["mails"]] == ["sent"]
    assert explanation["user"]["id"] == ana.id
    number = rule["notification"]["id"]
    assert root.get("/admin/explain", notification=number).json() == explanation, "its owner and its event are found"
    assert root.get("/admin/explain", notification=number, user=ben.id).json()["rules"][0]["decided"] == ["own act"]
    own = ana.get(f"/notifications/{number}/explain").json()
    assert own["rules"] == [{"rule": "like", "type": "community", "decided": ["notified", "mailed"]}]
    assert [(mail["kind"], mail["state"]) for mail in own["mails"]] == [("notification", "sent")]
    assert own["mail_due_at"] is None
    for client in (ben, root):
        problem(client.get(f"/notifications/{number}/explain"), 404, "not-found")
    served.execute("DELETE FROM post_copies WHERE event=?", liked)
    served.execute("DELETE FROM events WHERE id=?", liked)
    assert ana.get(f"/notifications/{number}/explain").json() == {**own, "rules": []}, "its event is no longer kept"
    problem(root.get("/admin/explain", notification=number), 404, "not-found")


def test_the_event_of_a_message_is_explained(served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    sent = ana.send("hello", to=ben)["id"]
    [notice] = until(lambda: ben.get("/notifications", type="message").json()["items"])
    explanation = root.get("/admin/explain", message=sent, user=ben.id).json()
    assert (explanation["type"], explanation["rules"][0]["decided"][0]) == ("message.created", "notified")
    assert explanation == root.get("/admin/explain", event=explanation["event"], user=ben.id).json()
    assert explanation == root.get("/admin/explain", notification=notice["id"]).json()
    assert ben.get(f"/notifications/{notice['id']}/explain").json()["rules"][0]["rule"] == "message"
    ben.post(f"/conversations/{notice['data']['conversation']}/read", {"message": sent})
    again = root.get("/admin/explain", message=sent, user=ben.id).json()["rules"][0]["decided"]
    assert again == ["notified"], "that it was read since is no reason"
    assert fields(root.get("/admin/explain", message=sent)) == ["user"]
    assert fields(root.get("/admin/explain", message=sent, event=explanation["event"], user=ben.id)) == ["event"]
    problem(root.get("/admin/explain", message=sent + 1000, user=ben.id), 404, "not-found")
    problem(root.get("/admin/explain", notification=notice["id"] + 1000), 404, "not-found")
    problem(ben.get("/admin/explain", message=sent, user=ben.id), 403, "forbidden")


def test_an_explanation_of_an_invalid_event_or_user_is_refused(served: Gateway, root: Client) -> None:
    ana = served.user()
    cursor = ana.now()
    assert fields(root.get("/admin/explain", event=cursor)) == ["user"]
    assert fields(root.get("/admin/explain", event="yesterday", user=ana.id)) == ["event"]
    assert fields(root.get("/admin/explain", user=ana.id)) == ["event"]
    epoch = cursor.partition("-")[0]
    for event, user in ((f"{epoch}-999999999", ana.id), ("another-1", ana.id), (f"{epoch}-1", 2**52)):
        problem(root.get("/admin/explain", event=event, user=user), 404, "not-found")


@pytest.mark.parametrize("path", ["/admin/notifications", "/activity"])
def test_only_admins_announce_and_report_activity(served: Gateway, path: str) -> None:
    problem(served.user().post(path, {}), 403, "forbidden")
    problem(served.anonymous().post(path, {}), 401, "unauthorized")
