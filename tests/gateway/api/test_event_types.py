"""Answers and events of a gateway with a worker, validated against the OpenAPI document."""

import json
from typing import Any

import httpx
import jsonschema
import pytest

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def close(schema: Any) -> Any:
    """Return a copy of a schema that forbids all fields that it does not name."""
    if isinstance(schema, list):
        return [close(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(inner) for key, inner in schema.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


class Schemas:
    """The schemas of the OpenAPI document, without unnamed fields."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths = document["paths"]
        self.components = {"components": close(document["components"])}

    def check(self, value: Any, name: str) -> None:
        """Fail if a value does not fit the component of this name."""
        jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", **self.components})

    def answer(self, answer: httpx.Response, path: str) -> Any:
        """Return the JSON of the answer to a GET; fail if it does not fit the schema of this path."""
        assert answer.status_code == 200, answer.text
        schema = self.paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, **self.components})
        return answer.json()

    def types(self) -> set[str]:
        """Return the types of events."""
        return set(self.components["components"]["schemas"]["Event"]["discriminator"]["mapping"])


@pytest.fixture(scope="module")
def schemas(served: Gateway) -> Schemas:
    """The schemas that the served gateway publishes."""
    return Schemas(served.anonymous().get("/openapi.json").json())


@pytest.fixture(scope="module")
def root(served: Gateway) -> Client:
    """An admin."""
    return served.user("admin")


def do_everything(ana: Client, ben: Client, root: Client) -> None:
    """Perform one of each operation that users get events of."""
    message = ana.send("hello", to=ben)
    ben.put(f"/messages/{message['id']}/reactions/👍")
    ben.post(f"/conversations/{message['conversation']}/read", {"message": message["id"]})
    ana.patch(f"/messages/{message['id']}", {"body": "hello, Ben"})
    ana.delete(f"/messages/{message['id']}")
    ben.put(f"/me/blocks/{ana.id}")
    ben.delete(f"/me/blocks/{ana.id}")
    crew = ana.group(ben)
    ana.put(f"/conversations/{crew}/level", {"level": "mentions", "until": "2100-01-01T00:00:00Z"})
    ana.patch(f"/conversations/{crew}", {"title": "The crew"})
    ben.delete(f"/conversations/{crew}/members/{ben.id}")
    ana.put(f"/conversations/{crew}/members/{ben.id}")
    group = ben.post("/groups", {"name": "Gardeners"}).json()["id"]
    post = ana.post("/posts", {"body": "a post"}).json()["id"]
    comment = ana.post(f"/posts/{post}/comments", {"body": "a comment"}).json()["id"]
    ana.delete(f"/comments/{comment}")
    ana.delete(f"/posts/{post}")
    ben.delete(f"/groups/{group}/members/me")
    root.patch(f"/admin/users/{ben.id}", {"display_name": "Ben B.", "external_id": f"old/{ben.id}"})
    talk = {"conversation": {"key": "1", "kind": "group", "members": [f"ext:old/{ben.id}"]}}
    said = {"message": {"key": "1", "conversation": "1", "sender": f"ext:old/{ben.id}", "body": "hi", "at": "2020-01-01T00:00:00Z"}}
    lines = "".join(json.dumps(line) + "\n" for line in (talk, said))
    imported = root.post("/admin/import", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert imported.json()["refused"] == [], imported.text


def test_events_fit_the_document(schemas: Schemas, served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    start = {user.name: user.now() for user in (ana, ben)}
    direct = ana.send("hi", to=ben)["conversation"]
    typed = ben.polling(ben.now(), types="typing")
    served.waiting(1)
    ana.post(f"/conversations/{direct}/typing", {"typing": True})
    do_everything(ana, ben, root)
    liked = ana.post("/posts", {"body": "another"}).json()["id"]
    for user, event_type in ((ben, "notification.created"), (root, "notification.updated")):  # the second like raises the count
        user.put(f"/posts/{liked}/like")
        until(lambda event_type=event_type: event_type in ana.event_types(start[ana.name]))  # type: ignore[misc]
    ana.post("/notifications/read", {"all": True})
    until(lambda: "post.updated" in ben.event_types(start[ben.name], follow="posts"))

    events = ben.events(start[ben.name], follow="posts") + ana.events(start[ana.name]) + typed.result().json()["events"]
    for event in events:
        schemas.check(event, "Event")
    assert {event["type"] for event in events} >= schemas.types() - {"presence", "cursor.expired"}


def test_answers_with_results_of_the_worker_fit_the_document(schemas: Schemas, served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    cursor = ana.now()  # Ben is absent
    ana.send("hello", to=ben, priority="urgent")
    event = ana.events(cursor, types="message.created")[0]["id"]
    until(lambda: ben.get("/notifications").json()["items"])
    body = {"user_ids": [ben.id], "type": "system", "title": "A pause", "body": "at six"}
    assert root.post("/admin/notifications", body).status_code == 202
    until(lambda: root.get("/admin/jobs").json()["fanouts"][0]["state"] == "done")
    until(lambda: root.get("/admin/activity", user=ana.id).json()["items"])

    assert schemas.answer(ben.get("/notifications"), "/api/v1/notifications")["unread"] == 2
    jobs = schemas.answer(root.get("/admin/jobs"), "/api/v1/admin/jobs")
    assert all(jobs[part] for part in ("queues", "workers", "consumers", "fanouts"))
    (rule,) = schemas.answer(root.get("/admin/explain", event=event, user=ben.id), "/api/v1/admin/explain")["rules"]
    assert rule["notification"]["type"] == "message"
    assert rule["mails"]
    for path in ("/admin/activity", "/admin/activity/hourly", "/admin/audit"):
        assert schemas.answer(root.get(path), f"/api/v1{path}")["items"]
    schemas.answer(ben.get("/state"), "/api/v1/state")
    schemas.answer(ben.get("/me/sessions"), "/api/v1/me/sessions")


def test_answers_to_an_older_client_fit_the_document(schemas: Schemas, served: Gateway) -> None:
    ana, ben = served.users(2)
    created = ana.post("/communication/chats/", {"receiver": ben.id, "message": "hello"})
    assert created.status_code == 201
    schemas.check(created.json(), "LegacyMessage")
    events = ben.get("/communication/poll/events/").json()["events"]
    for event in events:
        event["data"].pop("message", None)  # the older name of the body
    schemas.check({"events": events}, "LegacyEvents")
    assert "message.created" in {event["type"] for event in events}
