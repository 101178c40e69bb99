"""Answers and events of a whole house, worker and all, beside what the document says of them."""

from typing import Any

import httpx
import jsonschema
import pytest

from tests.gateway.client import Client
from tests.gateway.running import Gateway, until

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def close(schema: Any) -> Any:
    """A schema in which nothing may stand that it does not name."""
    if isinstance(schema, list):
        return [close(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: close(inner) for key, inner in schema.items()}
    if found.get("type") == "object" and isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


class Said:
    """What the document says."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths = document["paths"]
        self.components = {"components": close(document["components"])}

    def check(self, value: Any, name: str) -> None:
        """Fails for what is not as the document's component of this name."""
        jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", **self.components})

    def answer(self, answer: httpx.Response, path: str) -> Any:
        """The JSON that a GET was answered with."""
        assert answer.status_code == 200, answer.text
        schema = self.paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, **self.components})
        return answer.json()

    def types(self) -> set[str]:
        """Those of events."""
        return {kind["title"] for kind in self.components["components"]["schemas"]["Event"]["oneOf"]}


@pytest.fixture(scope="module")
def said(served: Gateway) -> Said:
    """What the house that is asked says of itself."""
    return Said(served.anonymous().get("/openapi.json").json())


@pytest.fixture(scope="module")
def root(served: Gateway) -> Client:
    """An admin."""
    return served.user("admin")


def talk(ana: Client, ben: Client, root: Client) -> None:
    """A bit of everything that people hear of."""
    message = ana.send("hello", to=ben)
    ben.put(f"/messages/{message['id']}/reactions/👍")
    ben.post(f"/conversations/{message['conversation']}/read", {"message": message["id"]})
    ana.patch(f"/messages/{message['id']}", {"body": "hello, Ben"})
    ana.delete(f"/messages/{message['id']}")
    crew = ana.group(ben)
    ana.patch(f"/conversations/{crew}", {"title": "The crew"})
    ben.delete(f"/conversations/{crew}/members/{ben.id}")
    ana.put(f"/conversations/{crew}/members/{ben.id}")
    group = ben.post("/groups", {"name": "Gardeners"}).json()["id"]
    post = ana.post("/posts", {"body": "a post"}).json()["id"]
    comment = ana.post(f"/posts/{post}/comments", {"body": "a comment"}).json()["id"]
    ana.delete(f"/comments/{comment}")
    ana.delete(f"/posts/{post}")
    ben.delete(f"/groups/{group}/members/me")
    root.patch(f"/admin/users/{ben.id}", {"display_name": "Ben B."})


def test_events_are_as_the_document_says(said: Said, served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    begun = {who.name: who.now() for who in (ana, ben)}
    direct = ana.send("hi", to=ben)["conversation"]
    typed = ben.polling(ben.now(), types="typing")
    served.waiting(1)
    ana.post(f"/conversations/{direct}/typing", {"typing": True})
    talk(ana, ben, root)
    liked = ana.post("/posts", {"body": "another"}).json()["id"]
    for who, kind in ((ben, "notification.created"), (root, "notification.updated")):  # the next like lets it grow
        who.put(f"/posts/{liked}/like")
        until(lambda kind=kind: kind in ana.kinds(begun[ana.name]))  # type: ignore[misc]
    ana.post("/notifications/read", {"all": True})
    until(lambda: "post.updated" in ben.kinds(begun[ben.name], follow="posts"))

    found = ben.events(begun[ben.name], follow="posts") + ana.events(begun[ana.name]) + typed.result().json()["events"]
    for event in found:
        said.check(event, "Event")
    assert {event["type"] for event in found} >= said.types() - {"presence", "cursor.expired"}


def test_what_the_worker_makes_is_as_the_document_says(said: Said, served: Gateway, root: Client) -> None:
    ana, ben = served.users(2)
    cursor = ana.now()  # Ben is not looking
    ana.send("hello", to=ben, priority="urgent")
    event = ana.events(cursor, types="message.created")[0]["id"]
    until(lambda: ben.get("/notifications").json()["items"])
    body = {"user_ids": [ben.id], "type": "system", "title": "A pause", "body": "at six"}
    assert root.post("/admin/notifications", body).status_code == 202
    until(lambda: root.get("/admin/jobs").json()["fanouts"][0]["state"] == "done")
    until(lambda: root.get("/admin/activity", user=ana.id).json()["items"])

    assert said.answer(ben.get("/notifications"), "/api/v1/notifications")["unread"] == 2
    jobs = said.answer(root.get("/admin/jobs"), "/api/v1/admin/jobs")
    assert all(jobs[part] for part in ("queues", "workers", "consumers", "fanouts"))
    (rule,) = said.answer(root.get("/admin/explain", event=event, user=ben.id), "/api/v1/admin/explain")["rules"]
    assert rule["notification"]["type"] == "message"
    assert rule["mails"]
    for path in ("/admin/activity", "/admin/activity/hourly", "/admin/audit"):
        assert said.answer(root.get(path), f"/api/v1{path}")["items"]
    said.answer(ben.get("/state"), "/api/v1/state")
    said.answer(ben.get("/me/sessions"), "/api/v1/me/sessions")


def test_an_older_clients_answers_are_as_the_document_says(said: Said, served: Gateway) -> None:
    ana, ben = served.users(2)
    made = ana.post("/communication/chats/", {"receiver": ben.id, "message": "hello"})
    assert made.status_code == 201
    said.check(made.json(), "LegacyMessage")
    events = ben.get("/communication/poll/events/").json()["events"]
    for event in events:
        event["data"].pop("message", None)  # the body again, which the older client knows by this name
    said.check({"events": events}, "LegacyEvents")
    assert "message.created" in {event["type"] for event in events}
