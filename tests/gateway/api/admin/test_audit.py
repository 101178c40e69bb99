"""What admins did is written down, by whom, from where, and without secrets."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tornado.web import RequestHandler

from gateway.api.admin.auditing import LEFT_OUT, summary
from gateway.app import ROUTES, route_name
from jobs import tasks
from models.records import activity
from models.store.clock import now_ms
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway, until
from tests.stores import settings_of

Call = tuple[str, str, Any]  # method, path below /api/v1, body
SOMEBODY = {"username": "somebody", "email": "somebody@example.org", "password": "the secret of somebody"}
ANNOUNCED = {"role": "admin", "type": "system", "title": "Down on Sunday", "body": "At noon.", "data": {"of": "others"}}


def calls(user: int, dead: int, cursor: str) -> dict[str, Call]:
    """One call of each method of each admin route that is answered well."""
    made: list[Call] = [
        ("GET", "/admin/users", None),
        ("POST", "/admin/users", {"users": [SOMEBODY]}),
        ("POST", "/admin/users/suspend", {"ids": [user], "reason": "why"}),
        ("POST", "/admin/users/activate", {"ids": [user]}),
        ("PATCH", "/admin/users/ID", {"display_name": "Another"}),
        ("POST", "/admin/users/ID/tokens", {"label": "bot"}),
        ("DELETE", "/admin/users/ID/tokens", None),
        ("GET", "/admin/watches", None),
        ("PUT", "/admin/watches", {"message.sent": False}),
        ("POST", "/admin/notifications", ANNOUNCED),
        ("GET", f"/admin/explain?event={cursor}&user={user}", None),
        ("POST", "/activity", {"action": "shop.bought", "metadata": {"card": "4711"}}),
        ("GET", "/admin/activity", None),
        ("GET", "/admin/activity/hourly", None),
        ("GET", "/admin/audit", None),
        ("GET", "/admin/jobs", None),
        ("POST", "/admin/jobs/ID/retry", None),
    ]
    numbers = {"/admin/jobs/ID/retry": str(dead)}
    return {
        f"{method} /api/v1{path.partition('?')[0]}": (method, path.replace("ID", numbers.get(path, str(user))), body)
        for method, path, body in made
    }


def admin_calls() -> set[str]:
    """Method and route of all that admins may call."""
    there: Callable[[Any, str], bool] = lambda handler, m: getattr(handler, m.lower()) is not RequestHandler._unimplemented_method  # noqa: E731
    return {
        f"{method} {route_name(pattern)}"
        for pattern, handler in ROUTES
        if handler.access == "admin"
        for method in handler.SUPPORTED_METHODS
        if method != "OPTIONS" and there(handler, method)
    }


def written(gateway: Gateway, request_id: str) -> list[tuple[Any, ...]]:
    return gateway.rows("SELECT action, outcome, user_id, address, metadata FROM audits WHERE request_id=?", request_id)


def test_each_call_of_each_admin_route_is_written_down_once(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    event = gateway.rows("SELECT max(id) FROM events")[0][0]
    gateway.execute(
        "INSERT INTO dead_work (consumer, event_id, error, parked_ms, retry) VALUES ('search',?,'why',0,?)", event, False
    )
    dead = gateway.rows("SELECT max(id) FROM dead_work")[0][0]
    ben.send("hi", to=ana)
    cursor = ben.now()
    asked = calls(ana.id, dead, cursor)
    assert set(asked) == admin_calls(), "a route is new: call it here, too"
    for number, (action, (method, path, body)) in enumerate(asked.items()):
        answer = admin.call(method, path, body, headers={"X-Request-Id": f"audit-{number}"})
        assert answer.status_code < 300, (action, answer.text)
        if method != "GET":
            assert written(gateway, f"audit-{number}"), "not when it is answered"
    for number, (action, (method, _, _)) in enumerate(asked.items()):
        outcome = "read" if method == "GET" else "done"
        [found] = until(lambda n=number: written(gateway, f"audit-{n}"))
        assert found[:4] == (action, outcome, admin.id, "127.0.0.1")


def test_no_secret_is_written_down_and_of_long_lists_only_a_part(gateway: Gateway, admin: Client, ana: Client) -> None:
    number, ids = str(ana.id), [ana.id, *range(8_000_000, 8_000_100)]
    users = [{"username": "keeper", "email": "keeper@example.org", "password": "swordfish and chips"}]
    assert admin.post("/admin/users", {"users": users}).status_code == 201
    token = admin.post(f"/admin/users/{number}/tokens", {"label": "bot"}).json()["token"]
    admin.post("/activity", {"action": "shop.bought", "metadata": {"card": "4711 0815"}})
    admin.post("/admin/users/activate?token=tokenized", {"ids": ids, "reason": "x" * 500})
    dump = gateway.dump()
    assert not [secret for secret in ("swordfish", token, "tokenized") if secret in dump]
    listed = admin.get("/admin/audit", user=admin.id, limit=4).json()["items"]
    by_action = {item["action"].removeprefix("POST /api/v1"): item for item in listed}
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


def test_what_is_refused_leaves_no_record(gateway: Gateway, admin: Client, ana: Client) -> None:
    def refused(client: Client, method: str, path: str, body: object, status: int) -> None:
        answer = client.call(method, path, body, headers={"X-Request-Id": f"refused-{status}"})
        assert answer.status_code == status
        assert written(gateway, f"refused-{status}") == []

    refused(ana, "POST", "/admin/users/suspend", {"ids": [admin.id]}, 403)
    refused(admin, "POST", "/admin/users/suspend", {"ids": []}, 422)
    refused(admin, "DELETE", "/admin/users/999999/tokens", None, 404)
    refused(gateway.anonymous(), "GET", "/admin/users", None, 401)


def test_without_its_record_nothing_is_changed_but_read_it_may_be(gateway: Gateway, admin: Client, ana: Client) -> None:
    gateway.execute("ALTER TABLE audits RENAME TO elsewhere")
    try:
        assert admin.post("/admin/users/suspend", {"ids": [ana.id]}).status_code >= 500
        assert admin.get("/admin/users").status_code == 200
    finally:
        gateway.execute("ALTER TABLE elsewhere RENAME TO audits")
    assert ana.get("/me").json()["status"] == "active"


def test_audits_are_listed_newest_first_by_user_action_site_and_time(gateway: Gateway) -> None:
    one, other = gateway.users(2, "admin")
    gateway.execute("UPDATE users SET site='north' WHERE id=?", other.id)
    for who in (one, other, one):
        assert who.post("/activity", {"action": "shop.looked"}).status_code == 202
    other.put("/admin/watches", {})
    post, put = "POST /api/v1/activity", "PUT /api/v1/admin/watches"

    def found(**filters: object) -> list[tuple[int, str]]:
        items = one.get("/admin/audit", **filters).json()["items"]
        return [(item["user"], item["action"]) for item in items if item["action"] in (post, put)]

    assert found(user=one.id) == [(one.id, post)] * 2
    assert found(site="north") == [(other.id, put), (other.id, post)]
    assert found(user=other.id, action=post) == [(other.id, post)]
    assert found(user=one.id, until="2020-01-01T00:00:00Z") == []
    first = one.get("/admin/audit", action=post, limit=2).json()
    following = one.get("/admin/audit", action=post, limit=1, page=first["next"]).json()
    assert [item["user"] for item in (*first["items"], *following["items"])] == [one.id, other.id, one.id]
    problem(one.get("/admin/audit", page="x-y"), 422, "invalid")


@pytest.mark.parametrize("name", ["password", "current_password", "token", "code", "X-Api-Key"])
def test_what_is_called_a_secret_is_none_of_the_record(name: str) -> None:
    assert summary({"deep": [{name: "hush"}]}) == {"deep": [{name: LEFT_OUT}]}


def exported(admin: Client, path: str, **wanted: object) -> list[dict[str, Any]]:
    answer = admin.get(path, headers={"Accept": "application/x-ndjson"}, **wanted)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_all_records_are_exported_oldest_first_from_archive_and_table(gateway: Gateway, admin: Client, ana: Client) -> None:
    day_ms, now = 24 * 3_600_000, now_ms()
    with gateway.store():
        activity.record([(ana.id, "shop.bought", str(n), "{}", None, None, now - (1200 - n) * day_ms // 8) for n in range(1200)])
        tasks.bind(settings_of(gateway.data, gateway.store_settings))
        assert tasks.archiver.run(lambda: False) > 0
    found = exported(admin, "/admin/activity", user=ana.id)
    assert [item["description"] for item in found] == [str(n) for n in range(1200)]
    assert (
        exported(admin, "/admin/activity", user=ana.id, limit=2)[::-1][:200]
        == admin.get("/admin/activity", user=ana.id, limit=200).json()["items"]
    )
    assert exported(admin, "/admin/activity", user=ana.id, until="2001-01-01T00:00:00Z") == []
    until(lambda: any("query" in item["metadata"] for item in exported(admin, "/admin/audit", user=admin.id)))
    assert fields(admin.get("/admin/activity", headers={"Accept": "application/x-ndjson"}, since="yesterday")) == ["since"]


def test_an_export_that_the_store_fails_is_cut_and_not_taken_for_the_whole(gateway: Gateway, admin: Client, ana: Client) -> None:
    filler = "x" * 4000
    with gateway.store():
        for _ in range(30):
            activity.record([(ana.id, "shop.full", filler, "{}", None, None, now_ms()) for _ in range(200)])
    http, asked = gateway.http, {"Authorization": f"Bearer {admin.token}", "Accept": "application/x-ndjson"}
    with http.stream("GET", f"/api/v1/admin/activity?user={ana.id}", headers=asked) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        gateway.execute("ALTER TABLE activities RENAME TO elsewhere")
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
        finally:
            gateway.execute("ALTER TABLE elsewhere RENAME TO activities")
