"""The host's people over HTTP: put, upserted and changed."""

from __future__ import annotations

from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

numbers = count(1)


@pytest.fixture
def ext() -> str:
    """An external id that nobody has, with characters that a path must not have."""
    return f"shop/user {next(numbers)}".replace(" ", "#")


def put(admin: Client, external_id: str, /, **given: Any) -> httpx.Response:
    return admin.put(f"/admin/users/{quote(f'ext:{external_id}', safe='')}", given)


def test_a_user_is_put_by_the_hosts_id(gateway: Gateway, admin: Client, ext: str) -> None:
    given = {"display_name": "Maria José", "email": f"{quote(ext, safe='')}@example.org", "metadata": {"plan": "gold"}}
    made, again = put(admin, ext, **given), put(admin, ext, **given)
    head = gateway.rows("SELECT max(id) FROM events")
    changed = put(admin, ext, metadata={"plan": "silver"})

    assert (made.status_code, again.status_code, again.json()) == (201, 200, made.json())
    assert made.json()["external_id"] == ext
    assert gateway.rows("SELECT max(id) FROM events") == head
    assert changed.json() == made.json() | {"metadata": {"plan": "silver"}}
    assert made.json() | {"metadata": {"plan": "silver"}} in admin.get("/admin/users", q="maria").json()["items"]
    assert admin.get(f"/users/{made.json()['id']}").json().keys() == admin.get(f"/users/{admin.id}").json().keys()


def test_suspending_by_the_host_ends_open_polls(gateway: Gateway, admin: Client, ext: str) -> None:
    user = put(admin, ext).json()
    token = admin.post(f"/admin/users/{user['id']}/tokens", {}).json()["token"]
    ana = Client(gateway, user["id"], user["username"], token)
    poll = ana.polling(ana.now())
    gateway.waiting(1)

    assert put(admin, ext, status="suspended").json()["status"] == "suspended"
    assert poll.result().status_code == 401


def test_an_account_without_an_address_has_none_anywhere(gateway: Gateway, admin: Client, ana: Client, ext: str) -> None:
    user = put(admin, ext, email=f"{ana.name}@example.org").json()
    key = f"none:{user['id']}"
    token = admin.post(f"/admin/users/{user['id']}/tokens", {}).json()["token"]
    mine = Client(gateway, user["id"], user["username"], token)

    assert (user["email"], mine.get("/me").json()["email"], mine.get("/state").json()["me"]["email"]) == (None, None, None)
    for address in (key, "", f"{key}@"):
        assert gateway.anonymous().post("/otp", {"email": address}).status_code in (202, 422)
        assert gateway.anonymous().post("/login", {"login": address, "password": "a long and quiet one"}).status_code == 401
    assert admin.get("/admin/users", q=key).json()["items"] == []
    assert gateway.rows("SELECT state FROM emails WHERE receiver=?", user["id"]) == []


def test_many_are_upserted_at_once(admin: Client, ext: str) -> None:
    people = [{"external_id": f"{ext}{n}", "username": "crew"} for n in range(3)]
    first = admin.post("/admin/users/upsert", {"users": people}).json()
    people[0]["display_name"] = "First"
    second = admin.post("/admin/users/upsert", {"users": [*people, {"external_id": f"{ext}3"}]}).json()

    assert [first[name] for name in ("created", "changed", "unchanged")] == [3, 0, 0]
    assert [second[name] for name in ("created", "changed", "unchanged")] == [1, 1, 2]
    assert [item["external_id"] for item in second["items"]] == [f"{ext}{n}" for n in range(4)]
    assert [item["username"] for item in second["items"][:3]] == [item["username"] for item in first["items"]]


def test_calls_at_once_make_an_account_once(gateway: Gateway, admin: Client, ext: str) -> None:
    calls = [gateway.later(put, admin, ext, username="crew") for _ in range(5)]
    answers = [call.result() for call in calls]

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.only("sqlite")  # the store has no part in it
def test_wrong_fields_are_named_and_nothing_is_done(admin: Client, ext: str) -> None:
    wrong = {"display_name": "", "email": "x", "locale": "?", "timezone": "Mars", "metadata": {"a": "x" * 4096}}
    refused = admin.post("/admin/users/upsert", {"users": [{"external_id": ext}, {"external_id": "a b", **wrong}]})

    assert sorted(fields(put(admin, ext, **wrong))) == sorted(wrong)
    assert sorted(fields(refused)) == sorted(f"users.1.{name}" for name in ["external_id", *wrong])
    assert fields(put(admin, ext, status="pending")) == ["status"]
    assert fields(put(admin, ext, external_id="42")) == ["external_id"]
    assert fields(put(admin, "a b")) == ["external_id"]
    problem(admin.put(f"/admin/users/{admin.id}", {}), 404, "not-found")
    assert admin.get(f"/users/{quote(f'ext:{ext}', safe='')}").status_code == 404


def test_an_admin_changes_names_addresses_and_external_ids(admin: Client, ana: Client, ben: Client, ext: str) -> None:
    path = f"/admin/users/{ana.id}"
    changed = admin.patch(path, {"username": f"new-{ana.name}", "email": None, "external_id": ext})
    assert (changed.json()["username"], changed.json()["email"], changed.json()["external_id"]) == (f"new-{ana.name}", None, ext)
    assert admin.patch(path, {"username": ben.name, "email": f"{ben.name}@example.org"}).json()["email"] is None
    assert ana.get("/me").json()["username"] == f"{ben.name}-2"
    assert put(admin, ext).json()["id"] == ana.id

    problem(admin.patch(f"/admin/users/{ben.id}", {"external_id": ext}), 409, "conflict")
    assert fields(admin.patch(path, {"username": "a b", "email": "x", "external_id": ""})) == ["username", "external_id", "email"]
    assert admin.patch(path, {"external_id": None}).json()["external_id"] is None
