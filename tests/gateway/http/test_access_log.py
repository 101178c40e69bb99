"""The access log: one line per request, and no secret in any line."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.newcomers import new_signup
from tests.gateway.running import Gateway
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def lines(gateway: Gateway, request_id: str) -> list[dict[str, Any]]:
    """Return the log lines of one request."""
    records = [json.loads(line) for line in gateway.stderr().splitlines() if line.startswith("{")]
    return [line for line in records if line.get("request_id") == request_id]


def test_a_request_has_one_line_with_user_route_status_and_durations(gateway: Gateway, ana: Client, ben: Client) -> None:
    answer = ana.post("/messages", {"to": ben.id, "body": "not for the log"}, headers={"X-Request-Id": "my-send"})
    assert answer.headers["X-Request-Id"] == "my-send"
    (line,) = until(lambda: lines(gateway, "my-send"))
    assert {name: line[name] for name in ("event", "component", "level", "method", "route", "status", "user")} == {
        "event": "request",
        "component": "gateway",
        "level": "info",
        "method": "POST",
        "route": "/api/v1/messages",
        "status": 201,
        "user": ana.id,
    }
    assert set(line["stages"]) == {"parse", "authorize", "wait", "commit"}
    assert 0 < sum(line["stages"].values()) <= line["seconds"] + 0.01
    assert line["timestamp"].endswith("Z")


def test_an_anonymous_request_to_no_route_has_a_line_too(gateway: Gateway) -> None:
    gateway.anonymous().get("/nothing/secret-path", headers={"X-Request-Id": "lost"}, token="secret-token")
    (line,) = until(lambda: lines(gateway, "lost"))
    assert (line["route"], line["status"]) == ("unknown", 404)
    assert "user" not in line
    assert "secret" not in gateway.stderr()


def test_no_secret_of_many_kinds_of_requests_is_in_the_log(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway("serve", LOG_LEVEL="debug", LOG_FORMAT="json")
    signup = new_signup() | {"password": "a password to look for"}
    public = gateway.anonymous()
    assert public.post("/signup", signup).status_code == 201
    code = until(lambda: _code(gateway, signup["email"]))
    session = public.post("/signup/verify", {"email": signup["email"], "code": code}).json()
    ana = Client(gateway, session["user"]["id"], signup["username"], session["token"])
    ben = gateway.user()
    public.post("/login", {"login": signup["username"], "password": signup["password"]})
    public.post("/login", {"login": signup["username"], "password": "another password to look for"})
    ana.send("a body to look for", to=ben)
    post = ana.post("/posts", {"body": "a post to look for"}).json()["id"]
    ben.post(f"/posts/{post}/comments", {"body": "a comment to look for"})
    cursor = ana.now()
    public.get("/events", cursor=cursor, timeout=0, token=ana.token)
    ana.get("/search/messages", q="look")
    ana.post("/messages", "not json to look for")
    until(lambda: gateway.rows("SELECT 1 FROM emails WHERE kind='notification' AND state='sent'"))
    ana.post("/logout")
    gateway.terminate()
    log = until(lambda: gateway.stderr() if "gateway_stopped" in gateway.stderr() else "")
    assert log.count('"event":"request"') > 10
    for secret in ("look for", code, session["token"], ben.token, "$argon2"):
        assert secret is not None
        assert secret not in log


def _code(gateway: Gateway, address: str) -> str | None:
    for letter in (gateway.data / "mail").glob("*.eml"):
        text = letter.read_text()
        if f"To: {address}\n" in text:
            return next(line for line in text.splitlines() if len(line) == 6 and line.isdigit())
    return None
