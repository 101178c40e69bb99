"""Audit records: each action of an admin with its user and address, and without secrets."""

import json
from functools import partial
from typing import Any, NamedTuple

import httpx
import pytest
from tornado.web import RequestHandler

from gateway.api.admin.auditing import LEFT_OUT, summary
from gateway.app import ROUTES, route_name
from jobs import tasks
from models.records import activity
from models.store.clock import now_ms
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.stores import settings_of
from tests.waiting import until

Call = tuple[str, str, Any]  # method, path below /api/v1, body
NEW_USER = {"username": "somebody", "email": "somebody@example.org", "password": "the secret of somebody"}
HOOK = {"url": "https://shop.example.org/bellwire"}
ANNOUNCEMENT = {"role": "admin", "type": "system", "title": "Down on Sunday", "body": "At noon.", "data": {"of": "others"}}


class Subjects(NamedTuple):
    """The ids of what the requests are about."""

    user: int
    leaver: int
    dead: int
    invitation: int
    webhook: int
    group: int
    hook: int
    report: int


def calls(of: Subjects, cursor: str) -> dict[str, Call]:
    """Return a successful request for each method of each admin route, by 'METHOD route'."""
    requests: list[Call] = [
        ("GET", "/admin/users", None),
        ("POST", "/admin/users", {"users": [NEW_USER]}),
        ("POST", "/admin/users/suspend", {"ids": [of.user], "reason": "why"}),
        ("POST", "/admin/users/activate", {"ids": [of.user]}),
        ("POST", "/admin/users/upsert", {"users": [{"external_id": "audited"}]}),
        ("PUT", "/admin/users/ID", {"display_name": "Another"}),
        ("PATCH", "/admin/users/ID", {"display_name": "Another"}),
        ("POST", "/admin/users/ID/tokens", {"label": "bot"}),
        ("DELETE", "/admin/users/ID/tokens", None),
        ("GET", "/admin/invitations", None),
        ("POST", "/admin/invitations", {"uses": 2}),
        ("DELETE", "/admin/invitations/ID", None),
        ("PATCH", "/admin/instance", {"organisation": "Hill School"}),
        ("POST", "/admin/test-mail", None),
        ("GET", "/admin/test-mail", None),
        ("GET", "/admin/watches", None),
        ("PUT", "/admin/watches", {"message.sent": False}),
        ("POST", "/admin/notifications", ANNOUNCEMENT),
        ("PUT", "/admin/notification-types/TYPE", {"words": {"en": {"title": "Order {{ order }} left"}}}),
        ("GET", "/admin/notification-types", None),
        ("GET", "/admin/notification-types/TYPE", None),
        ("POST", "/admin/notify", {"type": "order.shipped", "to": [of.user], "values": {"order": "secret"}}),
        ("DELETE", "/admin/notification-types/TYPE", None),
        ("PUT", "/admin/topics/TOPIC/members/ID", None),
        ("GET", "/admin/topics/TOPIC/members", None),
        ("DELETE", "/admin/topics/TOPIC/members/ID", None),
        ("GET", f"/admin/explain?event={cursor}&user={of.user}", None),
        ("POST", "/activity", {"action": "shop.bought", "metadata": {"card": "4711"}}),
        ("GET", "/admin/activity", None),
        ("GET", "/admin/activity/hourly", None),
        ("GET", "/admin/audit", None),
        ("GET", "/admin/log", None),
        ("POST", "/admin/import", None),
        ("GET", "/admin/jobs", None),
        ("POST", "/admin/jobs/ID/retry", None),
        ("GET", "/admin/webhooks", None),
        ("POST", "/admin/webhooks", HOOK),
        ("GET", "/admin/webhooks/ID", None),
        ("PATCH", "/admin/webhooks/ID", {"state": "paused"}),
        ("POST", "/admin/webhooks/ID/test", None),
        ("POST", "/admin/webhooks/ID/rewind", {"cursor": cursor}),
        ("DELETE", "/admin/webhooks/ID", None),
        ("GET", "/admin/reports", None),
        ("POST", "/admin/reports/ID", {"action": "dismiss"}),
        ("GET", "/admin/hooks", None),
        ("GET", "/admin/conversations/ID/hooks", None),
        ("POST", "/admin/conversations/ID/hooks", {"label": "CI"}),
        ("PATCH", "/admin/conversations/ID/hooks/ID", {"rotate": True}),
        ("DELETE", "/admin/conversations/ID/hooks/ID", None),
        ("GET", "/admin/users/ID/export", None),
        ("DELETE", "/admin/users/ID?texts=keep", None),
    ]
    named = partial(_named, of)
    return {f"{method} /api/v1{path.partition('?')[0]}": (method, named(method, path), body) for method, path, body in requests}


def _named(of: Subjects, method: str, path: str) -> str:
    """The path with the ids of what it is about."""
    ids: list[int | str] = [of.user]
    if path.startswith("/admin/conversations"):
        ids = [of.group, of.hook]
    for part, number in (("jobs", of.dead), ("invitations", of.invitation), ("webhooks", of.webhook), ("reports", of.report)):
        if path.startswith(f"/admin/{part}"):
            ids = [number]
    if path.partition("?")[0] == "/admin/users/ID":
        ids = ["ext:audited" if method == "PUT" else of.leaver if method == "DELETE" else of.user]
    for number in ids:
        path = path.replace("ID", str(number), 1)
    return path.replace("TYPE", "order.shipped").replace("TOPIC", "²")


def admin_calls() -> set[str]:
    """Return 'METHOD route' for every method of every admin route."""

    def has_method(handler: Any, method: str) -> bool:
        return getattr(handler, method.lower()) is not RequestHandler._unimplemented_method

    return {
        f"{method} {route_name(pattern)}"
        for pattern, handler in ROUTES
        if handler.access == "admin"
        for method in handler.SUPPORTED_METHODS
        if method not in ("OPTIONS", "HEAD") and has_method(handler, method)
    }


def records_of(gateway: Gateway, request_id: str) -> list[tuple[Any, ...]]:
    return gateway.rows("SELECT action, outcome, user_id, address, metadata FROM audits WHERE request_id=?", request_id)


def test_each_request_to_an_admin_route_has_one_record(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    event = gateway.rows("SELECT max(id) FROM events")[0][0]
    gateway.execute(
        "INSERT INTO dead_work (consumer, event_id, error, parked_ms, retry) VALUES ('search',?,'why',0,?)", event, False
    )
    dead = gateway.rows("SELECT max(id) FROM dead_work")[0][0]
    sent = ben.send("hi", to=ana)["id"]
    assert ana.post(f"/messages/{sent}/report", {"reason": "why"}).status_code == 202
    report = admin.get("/admin/reports").json()["items"][0]["id"]
    invitation = admin.post("/admin/invitations", {}).json()["id"]
    webhook = admin.post("/admin/webhooks", HOOK).json()["id"]
    group = admin.group(ana)
    hook = admin.post(f"/admin/conversations/{group}/hooks", {"label": "CI"}).json()["id"]
    requests = calls(Subjects(ana.id, gateway.user().id, dead, invitation, webhook, group, hook, report), ben.now())
    assert set(requests) == admin_calls(), "there is a new route: add a request to it here"
    for number, (action, (method, path, body)) in enumerate(requests.items()):
        answer = admin.call(method, path, body, headers={"X-Request-Id": f"audit-{number}"})
        assert answer.status_code < 300, (action, answer.text)
        if method != "GET":
            assert records_of(gateway, f"audit-{number}"), "the record was missing when the answer arrived"
    for number, (action, (method, _, _)) in enumerate(requests.items()):
        outcome = "read" if method == "GET" else "done"
        [record] = until(lambda n=number: records_of(gateway, f"audit-{n}"))
        assert record[:4] == (action, outcome, admin.id, "127.0.0.1")


def test_a_head_request_is_recorded_as_a_read(gateway: Gateway, admin: Client) -> None:
    assert admin.call("HEAD", "/admin/users", headers={"X-Request-Id": "audit-head"}).status_code == 200
    [record] = until(lambda: records_of(gateway, "audit-head"))
    assert record[:3] == ("HEAD /api/v1/admin/users", "read", admin.id)


def test_records_contain_no_secrets_and_only_a_part_of_long_lists(gateway: Gateway, admin: Client, ana: Client) -> None:
    number, ids = str(ana.id), [ana.id, *range(8_000_000, 8_000_100)]
    users = [{"username": "keeper", "email": "keeper@example.org", "password": "swordfish and chips"}]
    assert admin.post("/admin/users", {"users": users}).status_code == 201
    token = admin.post(f"/admin/users/{number}/tokens", {"label": "bot"}).json()["token"]
    admin.post("/activity", {"action": "shop.bought", "metadata": {"card": "4711 0815"}})
    admin.post("/admin/users/activate?token=tokenized", {"ids": ids, "reason": "x" * 500})
    dump = gateway.dump()
    assert not [secret for secret in ("swordfish", token, "tokenized") if secret in dump]
    items = admin.get("/admin/audit", user=admin.id, limit=4).json()["items"]
    by_action = {item["action"].removeprefix("POST /api/v1"): item for item in items}
    assert by_action["/admin/users/ID/tokens"]["metadata"] == {"ids": [ana.id], "body": {"label": "bot"}}
    assert by_action["/admin/users/ID/tokens"]["description"] == f"/api/v1/admin/users/{number}/tokens"
    assert by_action["/admin/users"]["metadata"]["body"]["users"][0] == {
        "username": "keeper",
        "email": "keeper@example.org",
        "password": LEFT_OUT,
    }
    assert by_action["/activity"]["metadata"]["body"] == {"action": "shop.bought", "metadata": LEFT_OUT}
    assert by_action["/admin/users/activate"]["metadata"]["body"] == {
        "ids": {"first": ids[:20], "count": 101},
        "reason": "x" * 200 + "…",
    }


def test_a_summary_stays_small() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"in": deep, "list": [deep] * 2}
    assert len(str(summary(deep))) < 2_000
    assert summary([[1] * 30]) == [{"first": [1] * 20, "count": 30}]


def test_a_refused_request_leaves_no_record(gateway: Gateway, admin: Client, ana: Client) -> None:
    def refused(client: Client, method: str, path: str, body: object, status: int) -> None:
        answer = client.call(method, path, body, headers={"X-Request-Id": f"refused-{status}"})
        assert answer.status_code == status
        assert records_of(gateway, f"refused-{status}") == []

    refused(ana, "POST", "/admin/users/suspend", {"ids": [admin.id]}, 403)
    refused(admin, "POST", "/admin/users/suspend", {"ids": []}, 422)
    refused(admin, "DELETE", "/admin/users/999999/tokens", None, 404)
    refused(gateway.anonymous(), "GET", "/admin/users", None, 401)


def test_a_change_fails_and_a_read_succeeds_when_the_record_cannot_be_written(gateway: Gateway, admin: Client, ana: Client) -> None:
    gateway.execute("ALTER TABLE audits RENAME TO elsewhere")
    try:
        assert admin.post("/admin/users/suspend", {"ids": [ana.id]}).status_code >= 500
        assert admin.get("/admin/users").status_code == 200
    finally:
        gateway.execute("ALTER TABLE elsewhere RENAME TO audits")
    assert ana.get("/me").json()["status"] == "active"


def test_audits_are_listed_newest_first_by_user_action_site_and_time(gateway: Gateway) -> None:
    first_admin, second_admin = gateway.users(2, "admin")
    gateway.execute("UPDATE users SET site='north' WHERE id=?", second_admin.id)
    for reporter in (first_admin, second_admin, first_admin):
        assert reporter.post("/activity", {"action": "shop.looked"}).status_code == 202
    second_admin.put("/admin/watches", {})
    post, put = "POST /api/v1/activity", "PUT /api/v1/admin/watches"

    def listed(**filters: object) -> list[tuple[int, str]]:
        items = first_admin.get("/admin/audit", **filters).json()["items"]
        return [(item["user"], item["action"]) for item in items if item["action"] in (post, put)]

    assert listed(user=first_admin.id) == [(first_admin.id, post)] * 2
    assert listed(site="north") == [(second_admin.id, put), (second_admin.id, post)]
    assert listed(user=second_admin.id, action=post) == [(second_admin.id, post)]
    assert listed(user=first_admin.id, until="2020-01-01T00:00:00Z") == []
    first = first_admin.get("/admin/audit", action=post, limit=2).json()
    following = first_admin.get("/admin/audit", action=post, limit=1, page=first["next"]).json()
    assert [item["user"] for item in (*first["items"], *following["items"])] == [first_admin.id, second_admin.id, first_admin.id]
    problem(first_admin.get("/admin/audit", page="x-y"), 422, "invalid")


@pytest.mark.parametrize("name", ["password", "current_password", "token", "code", "X-Api-Key"])
def test_a_field_with_a_secret_name_is_left_out_of_the_record(name: str) -> None:
    assert summary({"deep": [{name: "hush"}]}) == {"deep": [{name: LEFT_OUT}]}


def exported(admin: Client, path: str, **filters: object) -> list[dict[str, Any]]:
    answer = admin.get(path, headers={"Accept": "application/x-ndjson"}, **filters)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_export_has_all_records_of_archive_and_table_oldest_first(gateway: Gateway, admin: Client, ana: Client) -> None:
    day_ms, now = 24 * 3_600_000, now_ms()
    with gateway.store():
        activity.record([(ana.id, "shop.bought", str(n), "{}", None, None, now - (1200 - n) * day_ms // 8) for n in range(1200)])
        tasks.bind(settings_of(gateway.data, gateway.store_settings))
        assert tasks.archiver.run(lambda: False) > 0
    records = exported(admin, "/admin/activity", user=ana.id)
    assert [item["description"] for item in records] == [str(n) for n in range(1200)]
    assert (
        exported(admin, "/admin/activity", user=ana.id, limit=2)[::-1][:200]
        == admin.get("/admin/activity", user=ana.id, limit=200).json()["items"]
    )
    assert exported(admin, "/admin/activity", user=ana.id, until="2001-01-01T00:00:00Z") == []
    until(lambda: any("query" in item["metadata"] for item in exported(admin, "/admin/audit", user=admin.id)))
    assert fields(admin.get("/admin/activity", headers={"Accept": "application/x-ndjson"}, since="yesterday")) == ["since"]


def test_an_export_is_cut_off_when_the_store_fails(gateway: Gateway, admin: Client, ana: Client) -> None:
    filler = "x" * 4000
    with gateway.store():
        for _ in range(30):
            activity.record([(ana.id, "shop.full", filler, "{}", None, None, now_ms()) for _ in range(200)])
    http, headers = gateway.http, {"Authorization": f"Bearer {admin.token}", "Accept": "application/x-ndjson"}
    with http.stream("GET", f"/api/v1/admin/activity?user={ana.id}", headers=headers) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        gateway.execute("ALTER TABLE activities RENAME TO elsewhere")
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
        finally:
            gateway.execute("ALTER TABLE elsewhere RENAME TO activities")
