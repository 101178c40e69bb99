"""Sessions: which of them a log-in, a new password and the user end."""

import secrets
from collections.abc import Callable

import pytest

from gateway.api.sessions import session_label
from models.identity import password
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway

PASSWORD, CHANGED = "a long enough password", "another long password"


@pytest.fixture
def eve(gateway: Gateway, admin: Client) -> Client:
    """A user with a password, and a session."""
    name = f"eve-{secrets.token_hex(4)}"
    new = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    (made,) = admin.post("/admin/users", {"users": [new]}).json()["items"]
    return login(Client(gateway, made["id"], name, None))


def login(user: Client, password: str = PASSWORD) -> Client:
    answer = user.gateway.anonymous().post("/login", {"login": user.name, "password": password})
    assert answer.status_code == 200, answer.text
    return user.with_token(answer.json()["token"])


def test_a_new_password_ends_all_sessions_but_the_callers(gateway: Gateway, eve: Client, admin: Client) -> None:
    phone = login(eve)
    bot = eve.with_token(admin.post(f"/admin/users/{eve.id}/tokens", {"label": "bot"}).json()["token"])
    polls = [session.polling(session.now()) for session in (phone, bot)]
    own_poll = eve.polling(eve.now(), types="message.created")
    gateway.waiting(3)

    assert eve.patch("/me", {"password": CHANGED, "current_password": PASSWORD}).status_code == 200
    for session, poll in zip((phone, bot), polls, strict=True):
        problem(poll.result(), 401, "unauthorized")
        problem(session.get("/me"), 401, "unauthorized")
    admin.send("hi", to=eve)
    assert own_poll.result().status_code == 200
    assert [session["current"] for session in eve.get("/me/sessions").json()["items"]] == [True]
    assert login(eve, CHANGED).get("/me").status_code == 200


@pytest.mark.only("postgresql")
def test_a_new_password_ends_sessions_on_every_gateway(gateway: Gateway, make_gateway: Callable[..., Gateway], eve: Client) -> None:
    second = make_gateway(beside=gateway)
    phone = login(eve).at(second)
    poll = phone.polling(phone.now())
    second.waiting(1)

    assert eve.patch("/me", {"password": CHANGED, "current_password": PASSWORD}).status_code == 200
    problem(poll.result(), 401, "unauthorized")
    problem(phone.get("/me"), 401, "unauthorized")


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        (FIREFOX, "Mozilla/5.0 (Linux) Firefox"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0", "Mozilla/5.0 (Windows) Edge"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {KIT} Chrome/142.0.0.0 Mobile Safari/537.36", "Mozilla/5.0 (Android) Chrome"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {KIT} Version/26.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPhone) Safari",
        ),
        ("python-httpx/0.28\0", "python-httpx/0.28"),
        ("Mozilla/5.0 " + "x" * 100, "Mozilla/5.0 " + "x" * 52),
    ],
)
def test_a_session_is_labelled_by_what_tells_browsers_apart(user_agent: str, label: str) -> None:
    assert session_label(user_agent) == label


@pytest.mark.parametrize("typed", ["{} ", "\t{}\u3000", " {}@example.org"])
def test_the_spaces_around_a_login_do_not_count(gateway: Gateway, eve: Client, typed: str) -> None:
    answer = gateway.anonymous().post("/login", {"login": typed.format(eve.name), "password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "typed", ["gr\u00fc\u00dfe aus \u00c5rhus", "gru\u0308\u00dfe aus A\u030arhus", "gru\u0308\u00dfe\u00a0aus\u3000\u212brhus"]
)
def test_a_password_is_the_same_in_every_unicode_form(gateway: Gateway, eve: Client, typed: str) -> None:
    assert eve.patch("/me", {"password": typed, "current_password": PASSWORD}).status_code == 200
    for form in ("gr\u00fc\u00dfe aus \u00c5rhus", "gru\u0308\u00dfe aus A\u030arhus"):
        assert login(eve, form).get("/me").status_code == 200


def test_a_password_that_was_stored_in_another_form_goes_on_and_is_stored_anew(gateway: Gateway, eve: Client) -> None:
    decomposed, composed = "gru\u0308\u00dfe aus Aarhus", "gr\u00fc\u00dfe aus Aarhus"
    gateway.execute("UPDATE users SET password_hash=? WHERE id=?", password.hasher.hash(decomposed), eve.id)
    problem(gateway.anonymous().post("/login", {"login": eve.name, "password": composed}), 401, "unauthorized")

    assert login(eve, decomposed).get("/me").status_code == 200
    assert login(eve, composed).get("/me").status_code == 200
    assert login(eve, decomposed).patch("/me", {"password": CHANGED, "current_password": decomposed}).status_code == 200


def test_ending_a_session_ends_its_polls(gateway: Gateway, eve: Client) -> None:
    phone = login(eve)
    poll = phone.polling(phone.now())
    gateway.waiting(1)
    (number,) = [session["id"] for session in eve.get("/me/sessions").json()["items"] if not session["current"]]

    assert eve.delete(f"/me/sessions/{number}").status_code == 204
    problem(poll.result(), 401, "unauthorized")
