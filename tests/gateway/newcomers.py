"""Shortcuts for signing up: requests, and the mails that they queue. No worker runs, so mails stay in the outbox."""

import json
from itertools import count
from typing import Any

import httpx

from tests.gateway.client import Client
from tests.gateway.running import Gateway

PASSWORD = "correct horse battery"
numbers = count(1)


def new_signup() -> dict[str, str]:
    """Return the body of a sign-up request with an unused name and address."""
    n = next(numbers)
    return {"email": f"New{n}@example.org", "username": f"new{n}", "password": PASSWORD}


def sign_up(gateway: Gateway, signup: dict[str, str]) -> str:
    """Sign up, and return the code that the mail contains."""
    start_attempt(gateway, signup)
    return str(newest_mail(gateway, signup["email"])["code"])


def start_attempt(gateway: Gateway, signup: dict[str, str], path: str = "/signup", status: int = 201) -> str:
    """Sign up, and return the token of the attempt."""
    answer = gateway.anonymous().post(path, signup)
    attempt = answer.json().pop("attempt", "")
    expected = {"username": signup.get("username", answer.json().get("username")), "otp": {"expires_in": 600}, "attempt": attempt}
    assert (answer.status_code, answer.json()) == (status, expected), answer.text
    return str(attempt)


def newest_mail(gateway: Gateway, address: str) -> Any:
    """Return the data of the newest mail to an address."""
    return json.loads(gateway.rows("SELECT data FROM emails WHERE address=? ORDER BY id DESC LIMIT 1", address)[0][0])


def mail_kinds(gateway: Gateway, address: str) -> list[str]:
    """Return the kinds of all mails to an address, oldest first."""
    return [kind for (kind,) in gateway.rows("SELECT kind FROM emails WHERE address=? ORDER BY id", address)]


def verify(gateway: Gateway, address: str, code: str, **fields: Any) -> httpx.Response:
    """Verify an address by the code that was mailed to it."""
    return gateway.anonymous().post("/signup/verify", {"email": address, "code": code, **fields})


def log_in(gateway: Gateway, **credentials: Any) -> httpx.Response:
    """Log in by password or by code."""
    return gateway.anonymous().post("/login", credentials)


def verified_user(gateway: Gateway, signup: dict[str, str]) -> Client:
    """Sign up and verify the address, and return a client of the new user."""
    answer = verify(gateway, signup["email"], sign_up(gateway, signup))
    assert answer.status_code == 200, answer.text
    return Client(gateway, answer.json()["user"]["id"], signup["username"], answer.json()["token"])


def wrong_code(code: str) -> str:
    """Return another code of six digits."""
    return f"{(int(code) + 1) % 10**6:06d}"


def request_code(gateway: Gateway, address: str) -> int:
    """Request a login code, and return how many mails this queued."""
    before = len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'"))
    answer = gateway.anonymous().post("/otp", {"email": address})
    assert (answer.status_code, answer.json()) == (202, {})
    return len(gateway.rows("SELECT 1 FROM emails WHERE state='queued'")) - before
