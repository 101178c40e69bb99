"""Tokens that an admin creates for others, and that expire."""

from concurrent.futures import Future
from datetime import datetime

import httpx
import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import closed, socket, stream

LEGACY = "//api/v1/communication/poll/events/"
FEW_S = 4  # enough to open some connections, on a busy machine too


def token_of(admin: Client, user: Client, **options: object) -> Client:
    answer = admin.post(f"/admin/users/{user.id}/tokens", options)
    assert answer.status_code == 201, answer.text
    return user.with_token(answer.json()["token"])


def test_a_token_says_when_it_expires(gateway: Gateway, admin: Client, ana: Client) -> None:
    created = admin.post(f"/admin/users/{ana.id}/tokens", {"expires_in": 3600}).json()
    [(at, expires)] = gateway.rows("SELECT created_ms, expires_ms FROM tokens WHERE user_id=? ORDER BY id DESC LIMIT 1", ana.id)

    assert expires - at == 3_600_000
    assert datetime.fromisoformat(created["expires_at"]).timestamp() * 1000 == expires
    assert ana.with_token(created["token"]).get("/me").json()["id"] == ana.id
    assert admin.post(f"/admin/users/{ana.id}/tokens", {}).json()["expires_at"] is None


@pytest.mark.only("sqlite")  # the store has no part in it
@pytest.mark.parametrize("seconds", [0, -1, 400 * 24 * 3600 + 1, 1.5, "60"])
def test_a_token_is_for_a_second_to_400_days(admin: Client, ana: Client, seconds: object) -> None:
    assert fields(admin.post(f"/admin/users/{ana.id}/tokens", {"expires_in": seconds})) == ["expires_in"]


def test_an_expired_token_is_refused_and_is_no_session(gateway: Gateway, admin: Client, ana: Client) -> None:
    expired = token_of(admin, ana, label="short", expires_in=60)
    assert "short" in [session["label"] for session in ana.get("/me/sessions").json()["items"]]
    gateway.execute("UPDATE tokens SET expires_ms=created_ms WHERE label='short' AND user_id=?", ana.id)

    assert "expired" in problem(expired.get("/me"), 401, "unauthorized")["detail"]
    assert "short" not in [session["label"] for session in ana.get("/me/sessions").json()["items"]]


@pytest.mark.only("sqlite")  # this test waits, and the store has no part in it
def test_polls_streams_and_sockets_end_when_their_token_expires(gateway: Gateway, admin: Client, ana: Client) -> None:
    cursor, short = ana.now(), token_of(admin, ana, expires_in=FEW_S)
    with stream(short) as streamed, socket(short) as opened:
        polls: list[Future[httpx.Response]] = [short.polling(cursor), gateway.later(short.get, LEGACY)]
        polls.append(gateway.later(token_of(admin, admin, expires_in=FEW_S).get, "/admin/log", cursor=cursor, types="post.created"))
        for poll in polls:
            assert "expired" in problem(poll.result(), 401, "unauthorized")["detail"]
        assert closed(opened) == 4401
        assert all(block is None or block["type"] == "cursor" for block in streamed.blocks())  # and it ends
    problem(short.post("/messages", {"to": admin.id, "body": "late"}), 401, "unauthorized")
