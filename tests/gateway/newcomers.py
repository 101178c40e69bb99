"""People who sign up: what they send, and what is mailed to them. No worker runs, so mails stay in the outbox."""

import json
from itertools import count
from typing import Any

import httpx

from tests.gateway.client import Client
from tests.gateway.running import Gateway

PASSWORD = "correct horse battery"
numbers = count(1)


def somebody() -> dict[str, str]:
    """Whom no other test knows."""
    n = next(numbers)
    return {"email": f"New{n}@example.org", "username": f"new{n}", "password": PASSWORD}


def sign_up(gateway: Gateway, who: dict[str, str]) -> str:
    """Signs up; returns the code that was mailed."""
    answer = gateway.anonymous().post("/signup", who)
    assert (answer.status_code, answer.json()) == (201, {"username": who["username"], "otp": {"expires_in": 600}})
    return mailed(gateway, who["email"])["code"]


def mailed(gateway: Gateway, address: str) -> Any:
    """What the newest mail to an address says."""
    return json.loads(gateway.rows("SELECT data FROM emails WHERE address=? ORDER BY id DESC LIMIT 1", address)[0][0])


def kinds(gateway: Gateway, address: str) -> list[str]:
    """Of all mails to an address, oldest first."""
    return [kind for (kind,) in gateway.rows("SELECT kind FROM emails WHERE address=? ORDER BY id", address)]


def verify(gateway: Gateway, address: str, code: str, **more: Any) -> httpx.Response:
    """Gives back a code."""
    return gateway.anonymous().post("/signup/verify", {"email": address, "code": code, **more})


def log_in(gateway: Gateway, **given: Any) -> httpx.Response:
    """By password or code."""
    return gateway.anonymous().post("/login", given)


def made(gateway: Gateway, who: dict[str, str]) -> Client:
    """Signs up and verifies."""
    answer = verify(gateway, who["email"], sign_up(gateway, who))
    assert answer.status_code == 200, answer.text
    return Client(gateway, answer.json()["user"]["id"], who["username"], answer.json()["token"])


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 10**6:06d}"


def ask_code(gateway: Gateway, address: str) -> int:
    """Asks for a login code; returns how many mails that queued."""
    before = len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'"))
    answer = gateway.anonymous().post("/otp", {"email": address})
    assert (answer.status_code, answer.json()) == (202, {})
    return len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'")) - before
