"""An admin's call with `Bellwire-As` is done as the user it names."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from conf import Settings
from gateway.api.websocket import EventSocket
from gateway.http import acting
from gateway.http.acting import run_acting
from models.identity.token import Actor
from models.log import event
from models.store.database import execute
from models.store.errors import ActingError
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import closed, socket, stream
from tests.models.people import people as make_people


class ActingClient(Client):
    """An admin's client whose calls are done as another user."""

    def __init__(self, admin: Client, user: Client, reference: str = "") -> None:
        super().__init__(admin.gateway, user.id, user.name, admin.token)
        self.reference = reference or str(user.id)

    def call(self, method: str, path: str, body: Any = None, /, **options: Any) -> httpx.Response:
        headers = {"Bellwire-As": self.reference, **dict(options.pop("headers", {}))}
        return super().call(method, path, body, headers=headers, **options)


@pytest.fixture
def root(gateway: Gateway) -> Client:
    """An admin of each test's own."""
    return gateway.user("admin")


@pytest.fixture
def as_ana(root: Client, ana: Client) -> Client:
    return ActingClient(root, ana)


def test_calls_are_done_as_the_user_and_the_audit_has_both(gateway: Gateway, root: Client, as_ana: Client, ben: Client) -> None:
    poll = ben.polling(ben.now())
    sent = as_ana.send("hello", to=ben, client_id="1")
    again = as_ana.post("/messages", {"to": ben.id, "body": "other", "client_id": "1"})

    assert (sent["sender"], again.status_code, again.json()) == (as_ana.id, 200, sent)
    assert sent in [e["data"] for e in poll.result().json()["events"]]
    assert as_ana.get("/me").json()["id"] == as_ana.id
    assert as_ana.patch(f"/messages/{sent['id']}", {"body": "hello, Ben"}).status_code == 200
    records = root.get("/admin/audit", user=as_ana.id).json()["items"]
    assert {(record["user"], record["triggered_by"]) for record in records} == {(as_ana.id, root.id)}
    assert [r["action"] for r in records if r["action"].startswith("POST")] == ["POST /api/v1/messages"] * 2
    assert "hello" not in str(records)


def test_what_only_the_users_role_allows_is_allowed(root: Client, as_ana: Client, ben: Client) -> None:
    mine, theirs = as_ana.send("mine", to=ben), ben.send("theirs", to=as_ana)
    post = ben.post("/posts", {"body": "a post"}).json()["id"]
    comment = ben.post(f"/posts/{post}/comments", {"body": "a comment"}).json()["id"]

    problem(as_ana.delete(f"/messages/{theirs['id']}"), 403, "forbidden")
    problem(as_ana.delete(f"/posts/{post}"), 403, "forbidden")
    problem(as_ana.delete(f"/comments/{comment}"), 403, "forbidden")
    assert as_ana.delete(f"/messages/{mine['id']}").status_code == 204
    assert ActingClient(root, ben).delete(f"/comments/{comment}").status_code == 204


def test_polls_and_streams_have_the_users_events(gateway: Gateway, as_ana: Client, ben: Client) -> None:
    cursor = as_ana.now()
    sent = ben.send("hi", to=as_ana)
    assert sent in [e["data"] for e in as_ana.events(cursor)]
    with stream(as_ana, headers={"Bellwire-As": str(as_ana.id)}, cursor=cursor) as opened:
        assert sent in [e["data"] for e in opened.events(2)]
    problem(as_ana.get("//api/v1/communication/poll/events/"), 422, "bellwire-as")


def test_on_routes_for_admins_the_header_has_no_effect(root: Client, as_ana: Client) -> None:
    assert as_ana.get("/admin/users").status_code == 200
    assert as_ana.put("/admin/watches", {"message.sent": False}).json() == root.get("/admin/watches").json()


def test_a_report_of_activity_is_for_nobody_else(root: Client, as_ana: Client) -> None:
    problem(as_ana.post("/activity", {"action": "invoice.paid"}), 422, "bellwire-as")
    assert root.post("/activity", {"action": "invoice.paid", "user": as_ana.id}).status_code == 202


@pytest.mark.parametrize("reference", ["999999999", "ext:nobody", "ana", "", "0", "9" * 40, "ext:%C3%A9"])
def test_an_unknown_user_is_a_problem_of_its_own(root: Client, ana: Client, reference: str) -> None:
    problem(root.get("/me", headers={"Bellwire-As": reference}), 422, "bellwire-as")


def test_a_suspended_user_is_one_and_their_polls_end(gateway: Gateway, root: Client, as_ana: Client) -> None:
    poll = as_ana.polling(as_ana.now())
    gateway.waiting(1)
    root.post("/admin/users/suspend", {"ids": [as_ana.id]})

    problem(poll.result(), 422, "bellwire-as")
    problem(as_ana.get("/me"), 422, "bellwire-as")
    problem(as_ana.post("/messages", {"to": root.id, "body": "late"}), 422, "bellwire-as")


def test_sockets_for_a_user_who_is_suspended_close_with_4403(root: Client, as_ana: Client) -> None:
    with socket(as_ana, headers={"Bellwire-As": str(as_ana.id)}) as opened:
        opened.frame()
        root.post("/admin/users/suspend", {"ids": [as_ana.id]})
        assert closed(opened) == 4403
        assert opened.connection.close_reason == "Bellwire-As: the user is not active any more"


def test_only_admins_act_for_others(ana: Client, ben: Client, root: Client) -> None:
    problem(ana.get("/me", headers={"Bellwire-As": str(ben.id)}), 403, "forbidden")
    problem(ana.with_token("dead").get("/me", headers={"Bellwire-As": str(ben.id)}), 401, "unauthorized")
    external_id = f"ä%41-{ben.id}"
    root.patch(f"/admin/users/{ben.id}", {"external_id": external_id})
    for reference in (f"ext:{external_id}".encode(), f"ext:{quote(external_id)}"):
        assert root.get("/me", headers={"Bellwire-As": reference}).json()["id"] == ben.id


def test_an_admin_who_is_none_any_more_sends_nothing(gateway: Gateway, root: Client, as_ana: Client, ben: Client) -> None:
    assert as_ana.get("/me").status_code == 200  # the gateway has the token in memory, with the role of now
    gateway.execute("UPDATE users SET role='user' WHERE id=?", root.id)

    problem(as_ana.post("/messages", {"to": ben.id, "body": "late"}), 403, "forbidden")


def test_polls_for_others_end_with_the_admins_token_and_role(gateway: Gateway, admin: Client, root: Client, as_ana: Client) -> None:
    first = as_ana.polling(as_ana.now())
    gateway.waiting(1)
    root.patch("/me", {"display_name": "Root"})  # changes nothing for the poll
    sent = root.send("hello", to=as_ana)
    assert [e["data"] for e in first.result().json()["events"] if e["type"] == "message.created"] == [sent]

    first = as_ana.polling(as_ana.now())
    gateway.waiting(1)
    admin.patch(f"/admin/users/{root.id}", {"role": "user"})
    assert first.result().json()["events"] == []
    problem(as_ana.get("/me"), 403, "forbidden")

    admin.patch(f"/admin/users/{root.id}", {"role": "admin"})
    second = as_ana.polling(as_ana.now())
    gateway.waiting(1)
    root.post("/logout")
    assert second.result().status_code == 401


def test_a_users_sessions_and_password_are_not_the_admins(root: Client, ana: Client, as_ana: Client) -> None:
    problem(as_ana.post("/logout"), 422, "bellwire-as")
    for session in as_ana.get("/me/sessions").json()["items"]:
        assert not session["current"]
        assert as_ana.delete(f"/me/sessions/{session['id']}").status_code == 204
    assert ana.get("/me").status_code == 401
    assert as_ana.get("/me").status_code == root.get("/me").status_code == 200
    assert fields(as_ana.patch("/me", {"password": "a long and quiet one", "current_password": "x"})) == ["current_password"]


def test_a_user_who_is_suspended_meanwhile_does_nothing(store: Settings) -> None:
    (ana,) = make_people("ana")
    execute("UPDATE users SET status='suspended' WHERE id=?", (ana,))
    with event.transaction() as tx, pytest.raises(ActingError):
        run_acting(lambda tx: pytest.fail("it ran"), ana, None, tx)


def test_of_too_many_reads_only_the_one_recorded_first_is_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[int] = []
    monkeypatch.setattr(acting, "_recorded", {})
    monkeypatch.setattr(acting, "MAX_RECORDED", 2)
    reader = object.__new__(EventSocket)
    committer = SimpleNamespace(call=lambda *_: recorded.append(reader.actor.user) or Future())
    monkeypatch.setattr(reader, "services", SimpleNamespace(committer=committer), raising=False)
    monkeypatch.setattr(reader, "_acting_call", lambda _: None, raising=False)
    for user in (1, 2, 3, 2, 3, 1):
        reader.actor = Actor(user, 1, "user", "active", by_admin=9)
        reader.record_acting()

    assert recorded == [1, 2, 3, 1]


def test_a_socket_closes_with_4401_if_the_admin_is_none_any_more_after_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, codes = object.__new__(EventSocket), []
    demoted = Actor(1, 1, "user", "active", bot=False)
    monkeypatch.setattr(opened, "_begin", lambda: opened.acting_actor(demoted), raising=False)
    monkeypatch.setattr(opened, "close", codes.append, raising=False)

    asyncio.run(opened._pump())
    assert codes == [4401]
