"""The host's notification types, what it notifies of, and its topics, over HTTP and in a mail."""

from typing import Any

import httpx
import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import until

TYPE = "/admin/notification-types/order.shipped"
WORDS = {
    "en": {"title": "Order {{ order }} left", "body": "By {{ carrier|default('post') }}"},
    "de": {"title": "{{ order }} kommt"},
}
EXPECTED_JOB = {"type": "order.shipped", "audience": "to", "receivers": None, "done": 3, "total": 3, "due_at": None}


@pytest.fixture(scope="module")
def root(served: Gateway) -> Client:
    admin = served.user("admin")
    assert admin.put(TYPE, {"words": WORDS, "email": "instant", "url": "/orders/{{ order }}"}).status_code == 200
    return admin


def shown(client: Client, **query: str) -> list[dict[str, Any]]:
    return list(client.get("/notifications", **query).json()["items"])


def mails(served: Gateway, client: Client) -> list[str]:
    found = (path.read_text() for path in (served.data / "mail").glob("*.eml"))
    return [text for text in found if f"{client.name}@" in text]


def test_a_notification_of_the_hosts_is_shown_mailed_and_explained(served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    ana.patch("/me", {"locale": "de-AT"})
    cursor = ben.now()
    body = {"type": "order.shipped", "to": [ana.id, ben.id, 999_999], "values": {"order": "<b>42</b>"}, "dedupe": f"a{ana.id}"}
    first = root.post("/admin/notify", body)
    assert first.status_code == 202
    assert root.post("/admin/notify", {**body, "to": [ana.id]}).json() == first.json()
    [event] = until(lambda: [e for e in ben.events(cursor) if e["type"] == "notification.created"])
    [one] = shown(ben, type="order.shipped")
    assert event["data"] == one
    assert (one["title"], one["body"], one["data"]) == ("Order <b>42</b> left", "By post", {"order": "<b>42</b>"})
    assert (one["url"], one["count"]) == ("/orders/%3Cb%3E42%3C/b%3E", 1)
    [other] = until(lambda: shown(ana))
    assert other["title"] == "<b>42</b> kommt"
    number = int(first.json()["event"].rpartition("-")[2])
    [job] = until(lambda: [job for job in root.get("/admin/jobs").json()["notices"] if job["state"] == "done"])
    assert {**job, **EXPECTED_JOB, "event": number} == job
    decided = root.get("/admin/explain", event=first.json()["event"], user=ben.id).json()["rules"]
    assert [(rule["type"], rule["decided"]) for rule in decided] == [("order.shipped", ["notified", "mailed"])]
    assert ben.get(f"/notifications/{one['id']}/explain").json()["rules"][0]["type"] == "order.shipped"
    [mail] = until(lambda: mails(served, ben))
    assert "Order &lt;b&gt;42&lt;/b&gt; left" in mail.replace("=\n", "")
    assert "=E2=80=9COrder shipped=E2=80=9D" in mail.replace("=\n", "")
    link = mail.partition("List-Unsubscribe: <")[2].partition(">")[0]
    assert httpx.post(link.replace("\n ", ""), data={"List-Unsubscribe": "One-Click"}, trust_env=False).status_code == 200
    assert ben.get("/notification-preferences").json()["order.shipped"] == {"in_app": True, "email": "off", "push": False}


def test_users_choose_for_the_types_of_the_host(served: Gateway, root: Client) -> None:
    ana = served.user()
    assert ana.get("/notification-preferences").json()["order.shipped"] == {"in_app": True, "email": "instant", "push": False}
    changed = ana.put("/notification-preferences", {"order.shipped": {"in_app": False}, "message": {"email": "off"}}).json()
    assert (changed["order.shipped"], changed["message"]["email"]) == ({"in_app": False, "email": "instant", "push": False}, "off")
    assert fields(ana.put("/notification-preferences", {"order.shipped": {"email": "never"}})) == ["order.shipped.email"]
    assert fields(ana.put("/notification-preferences", {"order.lost": {"email": "off"}})) == ["order.lost"]
    assert fields(ana.get("/notifications", type="order.lost")) == ["type"]


def test_types_are_listed_replaced_and_deleted(root: Client) -> None:
    for name in ("z.b", "z.a"):
        assert root.put(f"/admin/notification-types/{name}", {"words": {"en": {"title": "A"}}}).status_code == 200
    made = root.put("/admin/notification-types/z.a", {"words": {"en": {"title": "B"}}, "group_by": ["x"], "urgent": True}).json()
    assert (made["type"], made["words"], made["group_by"], made["email"]) == ("z.a", {"en": {"title": "B"}}, ["x"], "off")
    assert root.get("/admin/notification-types/z.a").json() == made
    page = root.get("/admin/notification-types", limit=2).json()
    assert [one["type"] for one in page["items"]] == ["order.shipped", "z.a"]
    assert [one["type"] for one in root.get("/admin/notification-types", page=page["next"]).json()["items"]] == ["z.b"]
    for name in ("z.a", "z.b"):
        assert root.delete(f"/admin/notification-types/{name}").status_code == 204
    problem(root.delete("/admin/notification-types/z.a"), 404, "not-found")
    problem(root.get("/admin/notification-types/z.a"), 404, "not-found")
    assert fields(root.post("/admin/notify", {"type": "z.a", "role": "user"})) == ["type"]


@pytest.mark.parametrize("name", ["message", "host", "Order", "order..x", "x" * 61, "1x", "order.shipped%0A"])
def test_a_name_that_is_not_allowed_is_refused(root: Client, name: str) -> None:
    assert fields(root.put(f"/admin/notification-types/{name}", {"words": {"en": {"title": "A"}}})) == ["type"]


@pytest.mark.parametrize(
    ("words", "field", "message"),
    [
        ({"de": {"title": "A"}}, "words.en", "is required"),
        ({"en": {"title": "A\n{{ x"}}, "words.en.title", "line 2: "),
        ({"en": {"title": "{{ ''.__class__ }}"}}, "words.en.title", "line 1: '__class__' is not allowed"),
        ({"en": {"title": "A", "body": "{% for i in range(10**9) %}x{% endfor %}"}}, "words.en.body", "line 1: "),
        ({"en": {"title": "A"}, "de_AT!": {"title": "A"}}, "words", "'de_AT!' is no language tag"),
        ({"en": {"title": "A"}, "de": {"body": "B"}}, "words.de.title", "is required"),
        ({"en": {"title": "A", "text": "B"}}, "words.en.text", "is not a field"),
        ({"en": {"title": "A", "title_more": " "}}, "words.en.title_more", "must not be empty"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_named_with_its_line(root: Client, words: Any, field: str, message: str) -> None:
    answer = root.put(TYPE, {"words": words})
    assert fields(answer) == [field]
    assert answer.json()["errors"][0]["message"].startswith(message)


@pytest.mark.parametrize("url", ["javascript:alert('{{ order }}')", "//evil.example.org/{{ order }}", "orders/7", "https:"])
def test_an_address_that_is_none_with_any_values_is_refused(root: Client, url: str) -> None:
    definition = {"words": {"en": {"title": "A"}}}
    assert fields(root.put(TYPE, {**definition, "url": url})) == ["url"]
    for good in ("{{ link }}", "http{{ s }}://shop.example.org", "/orders/{{ order }}", "HTTPS://shop.example.org/7"):
        assert root.put("/admin/notification-types/good", {**definition, "url": good}).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": "user"}, "to"),
        ({"to": None}, "to"),
        ({"to": []}, "to"),
        ({"to": [1] * 10_001}, "to"),
        ({"to": None, "topic": "a b"}, "topic"),
        ({"values": {"x": "y" * 8_200}}, "values"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "//evil.example.org"}, "url"),
        ({"dedupe": "x" * 201}, "dedupe"),
        ({"not_before": "soon"}, "not_before"),
        ({"not_before": "2999-01-01T00:00:00Z"}, "not_before"),
        ({"actor": 999_999}, "actor"),
        ({"type": "order.lost"}, "type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_invalid_field_of_a_notification_is_named(root: Client, wrong: dict[str, Any], field: str) -> None:
    assert fields(root.post("/admin/notify", {"type": "order.shipped", "to": [1], **wrong})) == [field]


def test_topics_and_conversations(served: Gateway, root: Client) -> None:
    ana, ben, eve = served.users(3)
    topic = f"/admin/topics/ext:order%2F{ana.id}/members"
    for user in (ana, ben, ben):
        assert root.put(f"{topic}/{user.id}").status_code == 204
    assert [user["id"] for user in root.get(topic, limit=1).json()["items"]] == [ana.id]
    assert root.delete(f"{topic}/{ben.id}").status_code == root.delete(f"{topic}/{eve.id}").status_code == 204
    assert [user["id"] for user in root.get(topic).json()["items"]] == [ana.id]
    problem(root.put(f"{topic}/999999"), 404, "not-found")
    problem(root.put(f"{topic}/ext:nobody"), 404, "not-found")
    crew = ana.group(ben, eve)
    root.post("/admin/notify", {"type": "order.shipped", "topic": f"ext:order/{ana.id}", "values": {"order": 1}})
    root.post(
        "/admin/notify",
        {"type": "order.shipped", "conversation": crew, "actor": ana.id, "values": {"order": 2}, "url": "https://a.example"},
    )
    problem(root.post("/admin/notify", {"type": "order.shipped", "conversation": 999_999}), 404, "not-found")
    [one] = until(lambda: shown(eve, type="order.shipped"))
    assert (one["data"], one["url"]) == ({"conversation": crew, "order": 2}, "https://a.example")
    until(lambda: shown(ben, type="order.shipped"))
    assert [one["data"] for one in shown(ana, type="order.shipped")] == [{"order": 1}]


def test_two_calls_with_one_key_are_one_event(served: Gateway, root: Client) -> None:
    ana = served.user()
    body = {"type": "order.shipped", "to": [ana.id], "values": {"order": 7}, "dedupe": f"race{ana.id}"}
    calls = [served.later(root.post, "/admin/notify", body) for _ in range(8)]
    assert len({call.result().json()["event"] for call in calls}) == 1
    until(lambda: shown(ana, type="order.shipped"))
    assert served.rows("SELECT count(*) FROM host_notices WHERE receivers=?", f"[{ana.id}]") == [(1,)]


def test_only_admins_may_notify(served: Gateway, root: Client) -> None:
    ana = served.user()
    problem(ana.post("/admin/notify", {"type": "order.shipped", "to": [ana.id]}), 403, "forbidden")
    problem(ana.put(TYPE, {"words": WORDS}), 403, "forbidden")
