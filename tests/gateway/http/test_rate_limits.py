from collections.abc import Callable

import httpx
import pytest

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

SETTINGS = {
    "RATE_LIMITS": "on",
    "LIMIT_SEND": "3/hour",
    "LIMIT_TYPING": "2/hour",
    "LIMIT_LOGIN": "2/hour",
    "LIMIT_CLIENT_ERRORS": "2/hour",
    "LIMIT_FILES": "20/hour",
    "LIMIT_API": "15/hour",
    "LIMIT_ACTING": "20/hour",
    "TRUSTED_PROXIES": "127.0.0.1/32",
}


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with low limits that has served no request yet."""
    return make_gateway(**SETTINGS)


def limited(answer: httpx.Response) -> None:
    problem(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600


def test_the_calls_of_an_admin_for_others_have_a_limit_of_their_own(gateway: Gateway, ana: Client, ben: Client) -> None:
    root = gateway.user("admin")
    for user, to in (ana, ben), (ben, ana):
        for _ in range(10):
            body = {"to": to.id, "body": "hi"}
            assert root.post("/messages", body, headers={"Bellwire-As": str(user.id)}).status_code == 201
    limited(root.get("/me", headers={"Bellwire-As": str(ana.id)}))
    assert root.get("/me").status_code == ana.post("/messages", {"to": ben.id, "body": "own"}).status_code - 1 == 200
    assert ana.get("/me", headers={"Bellwire-As": str(ben.id)}).status_code == 403


def test_the_files_of_the_page_leave_an_address_its_other_requests(gateway: Gateway) -> None:
    while (answer := gateway.http.get("/static/app.js")).status_code == 200:
        pass
    limited(answer)
    limited(gateway.http.get("/service-worker.js"))
    assert gateway.http.get("/api/v1/me").status_code == 401


def test_each_user_has_separate_limits(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    for _ in range(3):
        ana.send("hi", at=group)
    limited(ana.post("/messages", {"conversation": group, "body": "hi"}))
    limited(ana.post("/communication/chats/", {"receiver": ben.id, "message": "hi"}))
    limited(ana.patch("/me", {"display_name": "Ana Ç."}))  # everybody hears of it
    assert ana.patch("/me", {"locale": "de"}).status_code == 200
    assert ben.post("/messages", {"conversation": group, "body": "hi"}).status_code == 201

    for _ in range(2):
        assert ana.post(f"/conversations/{group}/typing", {"typing": True}).status_code == 204
    limited(ana.post(f"/conversations/{group}/typing", {"typing": True}))
    while ana.get("/me").status_code == 200:
        pass
    limited(ana.get("/me"))
    limited(ana.get("/users"))
    assert cleo.get("/me").status_code == 200
    assert gateway.metric("bellwire_rate_limited_total", what="send") == 3
    assert gateway.metric("bellwire_rate_limited_total", what="typing") == 1
    assert gateway.metric("bellwire_rate_limited_total", what="api") >= 3


def test_anonymous_requests_are_limited_by_address(gateway: Gateway) -> None:
    def login(address: str, name: str) -> httpx.Response:
        body = {"login": name, "password": "wrong password"}
        return gateway.anonymous().post("/login", body, headers={"X-Forwarded-For": address})

    for name in ("one", "two"):
        problem(login("203.0.113.1", name), 401, "unauthorized")
    limited(login("203.0.113.1", "three"))
    problem(login("203.0.113.2", "three"), 401, "unauthorized")


def test_reports_of_errors_are_limited_by_address_and_take_nothing_from_logins(gateway: Gateway) -> None:
    def report(address: str) -> httpx.Response:
        body = {"where": "page", "what": "TypeError app.js:1"}
        return gateway.anonymous().post("/telemetry/error", body, headers={"X-Forwarded-For": address})

    assert [report("203.0.113.1").status_code for _ in range(2)] == [204, 204]
    limited(report("203.0.113.1"))
    assert report("203.0.113.2").status_code == 204
    body = {"login": "one", "password": "wrong password"}
    problem(gateway.anonymous().post("/login", body, headers={"X-Forwarded-For": "203.0.113.1"}), 401, "unauthorized")
    assert gateway.metric("bellwire_rate_limited_total", what="client_errors") == 1


def test_logins_to_one_account_are_limited_over_all_addresses(gateway: Gateway) -> None:
    answers = [
        gateway.anonymous().post("/login", {"login": "Ana", "password": "x"}, headers={"X-Forwarded-For": f"203.0.113.{n}"})
        for n in range(3)
    ]

    assert [a.status_code for a in answers] == [401, 401, 429]


def test_refused_tokens_count_towards_the_limit_of_their_address(gateway: Gateway) -> None:
    def guess(n: int, address: str = "203.0.113.1") -> httpx.Response:
        return gateway.anonymous().get("/me", headers={"Authorization": f"Bearer {n}", "X-Forwarded-For": address})

    for n in range(15):
        problem(guess(n), 401, "unauthorized")
    limited(guess(16))
    limited(gateway.anonymous().get("/me", headers={"X-Forwarded-For": "203.0.113.1"}))
    problem(guess(17, "203.0.113.2"), 401, "unauthorized")
