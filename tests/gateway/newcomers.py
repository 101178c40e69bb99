"""Shortcuts for signing up: requests, and the mails they cause. No worker runs, so mails stay in the outbox."""

import json
from itertools import count
from typing import Any

import httpx

from tests.gateway.client import Client
from tests.gateway.running import Gateway

PASSWORD = "correct horse battery"
numbers = count(1)


def somebody() -> dict[str, str]:
    """The body of a sign-up, with a new name and address."""
    n = next(numbers)
    return {"email": f"New{n}@example.org", "username": f"new{n}", "password": PASSWORD}


def sign_up(gateway: Gateway, who: dict[str, str]) -> str:
    """Sign up, and return the code that was mailed."""
    answer = gateway.anonymous().post("/signup", who)
    assert (answer.status_code, answer.json()) == (201, {"username": who["username"], "otp": {"expires_in": 600}})
    return mailed(gateway, who["email"])["code"]


def mailed(gateway: Gateway, address: str) -> Any:
    """The data of the newest mail to an address."""
    return json.loads(gateway.rows("SELECT data FROM emails WHERE address=? ORDER BY id DESC LIMIT 1", address)[0][0])


def kinds(gateway: Gateway, address: str) -> list[str]:
    """The kinds of all mails to an address, oldest first."""
    return [kind for (kind,) in gateway.rows("SELECT kind FROM emails WHERE address=? ORDER BY id", address)]


def verify(gateway: Gateway, address: str, code: str, **more: Any) -> httpx.Response:
    """Verify an address by its code."""
    return gateway.anonymous().post("/signup/verify", {"email": address, "code": code, **more})


def log_in(gateway: Gateway, **given: Any) -> httpx.Response:
    """Log in by password or code."""
    return gateway.anonymous().post("/login", given)


def made(gateway: Gateway, who: dict[str, str]) -> Client:
    """Sign up and verify, and return the new user."""
    answer = verify(gateway, who["email"], sign_up(gateway, who))
    assert answer.status_code == 200, answer.text
    return Client(gateway, answer.json()["user"]["id"], who["username"], answer.json()["token"])


def wrong(code: str) -> str:
    """A wrong code."""
    return f"{(int(code) + 1) % 10**6:06d}"


def ask_code(gateway: Gateway, address: str) -> int:
    """Request a login code, and return how many mails that queued."""
    before = len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'"))
    answer = gateway.anonymous().post("/otp", {"email": address})
    assert (answer.status_code, answer.json()) == (202, {})
    return len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'")) - before
