"""Users that a request names by the host's ids."""

from typing import Any
from urllib.parse import quote

import pytest

from models.identity.external_id import is_valid
from models.identity.user import User
from tests.gateway.client import Client
from tests.gateway.running import Gateway

EXPECTED = "must be a user id, or `ext:` and an external id"


@pytest.fixture
def ana(gateway: Gateway) -> Client:
    return gateway.user()


@pytest.fixture
def ben(gateway: Gateway) -> Client:
    """A user with an external id."""
    user = gateway.user()
    User.update(external_id=f"shop/{user.id}").where(User.id == user.id).execute()
    return user


def test_an_external_id_stands_for_the_user_in_bodies_and_paths(ana: Client, ben: Client) -> None:
    reference, user = f"ext:shop/{ben.id}", ana.get(f"/users/{ben.id}").json()
    group = ana.post("/conversations", {"members": [reference], "title": "The crew"}).json()
    sent = ana.post("/messages", {"to": reference, "body": "hello"})

    assert user["external_id"] == f"shop/{ben.id}"
    assert [member["user"]["external_id"] for member in group["members"]] == [None, user["external_id"]]
    assert sent.status_code == 201
    assert ana.post("/communication/chats/", {"receiver": reference, "message": "hello"}).json()["receiver"] == ben.id
    assert ana.get(f"/users/{quote(reference, safe=':')}").json() == ana.get(f"/users/{quote(reference, safe='')}").json() == user
    assert ana.delete(f"/conversations/{group['id']}/members/{quote(reference, safe='')}").status_code == 204


def test_an_admin_names_users_of_the_host(gateway: Gateway, ben: Client) -> None:
    admin, reference = gateway.user("admin"), f"ext:shop/{ben.id}"

    assert admin.patch(f"/admin/users/{quote(reference, safe='')}", {"display_name": "Ben of the shop"}).json()["id"] == ben.id
    outcome = admin.post("/admin/users/suspend", {"ids": ["ext:nobody", reference, 10**9, "ext:nobody"]}).json()
    assert outcome == {"changed": [ben.id], "unchanged": [], "missing": [10**9, "ext:nobody"]}
    assert {record["user"] for record in admin.get("/admin/audit", user=reference).json()["items"]} == {ben.id}


def test_the_longest_external_id_fits_into_a_path(gateway: Gateway) -> None:
    admin, path = gateway.user("admin"), f"/admin/users/{quote('ext:' + chr(0x10400) * 128, safe='')}"

    assert admin.put(path, {}).status_code == 201
    assert admin.patch(path, {"display_name": "Long"}).json()["display_name"] == "Long"


@pytest.mark.parametrize("reference", ["ext:nobody", "ext:shop/"])
def test_an_unknown_external_id_is_answered_as_an_unknown_id(ana: Client, reference: str) -> None:
    by_name, by_id = (ana.post("/messages", {"to": to, "body": "hello"}) for to in (reference, 10**9))

    assert (by_name.status_code, by_name.json()) == (404, by_id.json())
    assert ana.get(f"/users/{quote(reference, safe='')}").status_code == 404


@pytest.mark.parametrize("reference", ["42", "ext:", "ext:a b", "ext:" + "x" * 129, "user:7"])
def test_what_is_no_reference_names_its_field(ana: Client, reference: Any) -> None:
    refused = ana.post("/conversations", {"members": [reference]})

    assert (refused.status_code, refused.json()["errors"]) == (422, [{"field": "members.0", "message": EXPECTED}])


@pytest.mark.parametrize("external_id", ["42", "a/b:c@example.org", "ж", "x" * 128])
def test_external_ids_are_printable_texts(external_id: str) -> None:
    assert is_valid(external_id)


@pytest.mark.parametrize("external_id", ["", "a b", "x" * 129, "a\n", "\u200b"])
def test_external_ids_have_no_spaces_and_at_most_128_characters(external_id: str) -> None:
    assert not is_valid(external_id)
