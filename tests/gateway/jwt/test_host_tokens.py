"""The host's tokens as credentials, on two gateways of one store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import count
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from models.accounts.host_tokens import MAX_TOKENS
from models.identity.token import Token, digest
from models.log import event
from models.store.database import insert_rows
from tests.gateway.client import Client, problem
from tests.gateway.jwt.issuer import NAME, Jwks, claims, ec_key, serving, signed
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.waiting import until

SUBJECTS = (f"user/{number}" for number in count(1))


@pytest.fixture(scope="module")
def server() -> Iterator[Jwks]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], server: Jwks) -> Gateway:
    return make_gateway(JWT_ISSUER=NAME, JWT_KEYS=server.url)


@pytest.fixture(scope="module")
def other(make_gateway: Callable[..., Gateway], gateway: Gateway, server: Jwks) -> Gateway:
    """A gateway on the same store, of another opinion about roles."""
    return make_gateway(beside=gateway, JWT_ISSUER=NAME, JWT_KEYS=server.url, JWT_ROLES="on")


@pytest.fixture
def subject() -> str:
    """The external id of a user that is not known yet."""
    return next(SUBJECTS)


def client(gateway: Gateway, said: dict[str, Any], **options: Any) -> Client:
    """Return a client with a token of the host's that says this."""
    return Client(gateway, 0, "", signed(said, **options))


def test_a_user_is_made_by_their_first_token_and_changed_by_a_later_one(gateway: Gateway, subject: str) -> None:
    now = int(time.time())
    first = claims(subject, iat=now - 9, name="Ana Lima", email=f"{subject}@shop.example", locale="pt_BR", zoneinfo="Europe/Lisbon")
    ana = client(gateway, first | {"preferred_username": "ana.lima", "picture": "x"}).get("/me").json()
    later = client(gateway, first | {"name": "Ana Souza", "iat": now, "zoneinfo": "Mars", "email": "no address"})
    earlier = client(gateway, first | {"iat": now - 5, "name": "Ana"})

    assert (ana["external_id"], ana["username"], ana["display_name"]) == (subject, "ana.lima", "Ana Lima")
    assert (ana["email"], ana["role"]) == (f"{subject}@shop.example", "user")
    assert ana["profile"] == {"timezone": "Europe/Lisbon", "locale": "pt-BR"}
    assert later.get("/me").json() == ana | {"display_name": "Ana Souza"}
    assert earlier.get("/me").json()["display_name"] == "Ana Souza"  # that token is older


def test_claims_that_cannot_be_used_are_left_out(gateway: Gateway, subject: str) -> None:
    said = claims(subject, name="x" * 300, email=7, locale="?", zoneinfo=[], preferred_username="\x00", bellwire_role="admin")
    me = client(gateway, said).get("/me").json()

    assert (me["email"], me["role"], me["external_id"]) == (None, "user", subject)


def test_a_user_is_made_once_by_many_requests_at_once(gateway: Gateway, other: Gateway, subject: str) -> None:
    now = int(time.time())
    tokens = [signed(claims(subject, exp=now + 3600 + n)) for n in range(10)] * 5
    ends: list[Future[httpx.Response]] = [
        gateway.later(Client((gateway, other)[n // 5 % 2], 0, "", token).get, "/me") for n, token in enumerate(tokens)
    ]
    answers = [end.result() for end in ends]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert gateway.rows("SELECT count(*) FROM users WHERE external_id=?", subject) == [(1,)]
    assert gateway.rows("SELECT count(*) FROM tokens WHERE user_id=?", answers[0].json()["id"]) == [(10,)]


def test_a_token_is_verified_once_for_all_gateways(make_gateway: Callable[..., Gateway], gateway: Gateway, subject: str) -> None:
    trusting_nobody = make_gateway(beside=gateway)
    ana, ben = client(gateway, claims(subject)), gateway.user()
    ana.send("hello", to=ben)

    assert ana.at(trusting_nobody).send("again", to=ben)["body"] == "again"  # by its row
    problem(client(trusting_nobody, claims(subject, name="Ana")).get("/me"), 401, "unauthorized")
    assert [mine["label"] for mine in ana.get("/me/sessions").json()["items"]] == [NAME]


def test_a_refusal_is_401_names_the_claim_and_is_counted(gateway: Gateway, subject: str) -> None:
    before = gateway.metric("bellwire_auth_failures_total", what="token")
    for said, key, named in [
        (claims(subject, aud="other"), None, "aud"),
        (claims(subject, exp=1), None, "exp"),
        (claims(subject), ec_key(1), "signature"),
    ]:
        ana = client(gateway, said, key=key)
        details = {problem(ana.get(path), 401, "unauthorized")["detail"] for path in ("/me", "/events", "/me")}
        assert {detail.partition(":")[0] for detail in details} == {named}
    assert gateway.metric("bellwire_auth_failures_total", what="token") == before + 9
    assert gateway.http.get("/api/v1/events", params={"token": signed(claims(subject))}).status_code == 200
    assert gateway.http.get("/api/v1/me", params={"token": signed(claims(subject))}).status_code == 401


def test_a_suspension_is_in_force_on_every_gateway(gateway: Gateway, other: Gateway, subject: str) -> None:
    ana, admin = client(gateway, claims(subject)), gateway.user("admin")
    user = ana.at(other).get("/me").json()["id"]
    poll, fresh = ana.at(other).polling(ana.at(other).now()), client(other, claims(subject, name="Later"))
    with socket(ana) as open_socket:
        open_socket.frame()
        admin.post("/admin/users/suspend", {"ids": [user]})
        assert problem(poll.result(), 403, "suspended")
        with pytest.raises(ConnectionClosed, match="4401"):
            open_socket.events(99)
    for refused in (ana, ana.at(other), fresh):
        problem(refused.get("/me"), 403, "suspended")
        problem(refused.post("/messages", {"to": user, "body": "x"}), 403, "suspended")
    admin.post("/admin/users/activate", {"ids": [user]})
    assert ana.get("/me").status_code == fresh.get("/me").status_code == 200


def test_deleting_a_users_tokens_ends_all_that_were_issued_up_to_now(gateway: Gateway, other: Gateway, subject: str) -> None:
    now, admin = int(time.time()), gateway.user("admin")
    known, unknown, undated = claims(subject), claims(subject, iat=now - 1), claims(subject, iat=None)
    ahead, later = claims(subject, iat=now + 8), claims(subject, iat=now + 20)
    user = client(gateway, known).get("/me").json()["id"]
    client(gateway, ahead).get("/me")
    poll = client(other, known).polling(client(other, known).now())

    assert admin.delete(f"/admin/users/{user}/tokens").status_code == 204
    assert problem(poll.result(), 401, "unauthorized")["detail"].startswith("iat:")
    for said in (known, unknown, undated, ahead):
        for at in (gateway, other):
            problem(client(at, said).get("/me"), 401, "unauthorized")
    assert client(gateway, later).get("/me").json()["id"] == user


def test_a_token_that_was_logged_out_does_not_come_back(gateway: Gateway, other: Gateway, subject: str) -> None:
    ana, again = client(gateway, claims(subject)), client(gateway, claims(subject, name="Ana"))
    ana.get("/me")

    assert ana.post("/logout").status_code == 204
    assert "revoked" in problem(ana.get("/me"), 401, "unauthorized")["detail"]
    until(lambda: ana.at(other).get("/me").status_code == 401)
    assert again.get("/me").status_code == 200
    assert [mine["label"] for mine in again.get("/me/sessions").json()["items"]] == [NAME]


def test_a_user_has_a_bounded_number_of_tokens_and_the_oldest_comes_back(gateway: Gateway, subject: str) -> None:
    oldest = client(gateway, claims(subject))
    user = oldest.get("/me").json()["id"]
    columns = ("user_id", "hash", "label", "address", "created_ms", "issued_ms", "poll_acked", "poll_written", "is_session")
    others = [(user, digest(f"{subject}{n}"), "", "", 10**13, 0, 0, 0, False) for n in range(MAX_TOKENS)]
    with gateway.store(), event.transaction():
        insert_rows(Token, columns, others)
    client(gateway, claims(subject, name="One more")).get("/me")
    rows = gateway.rows("SELECT hash FROM tokens WHERE user_id=? ORDER BY id", user)

    assert (len(rows), (digest(oldest.token or ""),) in rows) == (MAX_TOKENS, False)
    assert oldest.get("/me").status_code == 200


def test_a_role_is_the_hosts_only_if_the_setting_says_so(gateway: Gateway, other: Gateway, subject: str) -> None:
    said = claims(subject, bellwire_role="admin", name="Root")
    assert client(gateway, said).get("/admin/users").status_code == 403
    assert client(other, said | {"name": "Admin"}).get("/admin/users").status_code == 200
    assert client(other, said | {"name": "Odd", "bellwire_role": "king"}).get("/me").json()["role"] == "admin"
    assert client(other, said | {"name": "No more", "bellwire_role": "user"}).get("/admin/users").status_code == 403


def test_unknown_users_are_refused_where_the_host_makes_them_itself(make_gateway: Callable[..., Gateway], gateway: Gateway) -> None:
    strict = make_gateway(beside=gateway, JWT_ISSUER=NAME, JWT_KEYS=gateway.settings["JWT_KEYS"], JWT_CREATE="off")
    known = next(SUBJECTS)
    client(gateway, claims(known)).get("/me")

    assert problem(client(strict, claims(next(SUBJECTS))).get("/me"), 401, "unauthorized")["detail"].startswith("sub:")
    assert client(strict, claims(known)).get("/me").status_code == 200


def test_a_token_ends_at_its_exp(gateway: Gateway, other: Gateway, subject: str) -> None:
    said = claims(subject, exp=int(time.time()) + 4)
    ana = client(gateway, said)
    cursor = ana.now()
    with stream(ana) as events, socket(ana.at(other)) as open_socket:
        poll = ana.at(other).polling(cursor)
        assert problem(poll.result(), 401, "unauthorized")["detail"].startswith("exp:")
        list(events.blocks())
        with pytest.raises(ConnectionClosed, match="4401"):
            open_socket.events(99)
    for at in (gateway, other):
        assert problem(ana.at(at).get("/me"), 401, "unauthorized")["detail"].startswith("exp:")
        problem(ana.at(at).post("/messages", {"to": 1, "body": "x"}), 401, "unauthorized")


def test_a_deleted_users_tokens_make_no_account_but_those_that_are_issued_later_do(gateway: Gateway, other: Gateway) -> None:
    subject, now, admin = next(SUBJECTS), int(time.time()), gateway.user("admin")
    used, unused, undated = (client(gateway, claims(subject, iat=iat)) for iat in (now, now - 1, None))
    user = used.get("/me").json()["id"]
    assert admin.delete(f"/admin/users/{user}", params={"texts": "keep"}).status_code == 202

    for refused in (used, unused, undated, unused.at(other)):
        assert problem(refused.get("/me"), 401, "unauthorized")["detail"].startswith("iat:")
    again = client(gateway, claims(subject, iat=now + 20)).get("/me").json()
    assert (again["external_id"], again["id"] > user) == (subject, True)
    assert problem(unused.get("/me"), 401, "unauthorized")["detail"].startswith("iat:")
    assert gateway.rows("SELECT count(*) FROM users WHERE external_id=?", subject) == [(1,)]


def test_an_older_token_never_undoes_what_was_said_later(gateway: Gateway, other: Gateway, subject: str) -> None:
    now, admin = int(time.time()), gateway.user("admin")
    older, first, ahead, last = (
        client(other, claims(subject, iat=iat, name=name, bellwire_role=role))
        for iat, name, role in [
            (now - 9, "Older", "admin"),
            (now - 5, "First", "user"),
            (now + 9, "Ahead", "user"),
            (now + 25, "Last", "user"),
        ]
    )
    user = first.get("/me").json()["id"]
    for verb in ("suspend", "activate"):
        admin.post(f"/admin/users/{verb}", {"ids": [user]})
    assert [older.get("/me").json()[name] for name in ("display_name", "role")] == ["First", "user"]

    assert ahead.get("/me").json()["display_name"] == "Ahead"
    admin.patch(f"/admin/users/{user}", {"display_name": "Changed"})
    gateway.execute("DELETE FROM tokens WHERE user_id=?", user)
    again = client(other, claims(subject, iat=now + 9, name="Ahead", jti="2"))
    assert again.get("/me").json()["display_name"] == "Changed"
    assert admin.put(f"/admin/users/ext:{subject.replace('/', '%2F')}", {"display_name": "Put"}).status_code == 200
    assert client(other, claims(subject, iat=now, name="Between")).get("/me").json()["display_name"] == "Put"
    assert last.get("/me").json()["display_name"] == "Last"
