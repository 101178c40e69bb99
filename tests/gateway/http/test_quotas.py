"""Quotas: the events and bytes that one user may add to the log in a day."""

from collections.abc import Callable

import httpx
import pytest

from tests.gateway.client import problem
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

MakeGateway = Callable[..., Gateway]
SETTINGS = {"RATE_LIMITS": "on", "LIMIT_SEND": "1000/second", "LIMIT_API": "1000/second"}


def over_quota(answer: httpx.Response) -> None:
    problem(answer, 429, "quota-exceeded")
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_400


def test_a_user_who_has_written_too_many_events_reads_and_logs_out_but_writes_no_more(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(**SETTINGS, LIMIT_EVENTS="10/day")
    ana, ben, root = *gateway.users(2), gateway.user("admin")
    post = root.post("/posts", {"body": "like this"}).json()["id"]
    toggles = [method(f"/posts/{post}/like") for _ in range(10) for method in (ana.put, ana.delete)]
    refused = [answer for answer in toggles if answer.status_code == 429]

    assert toggles[0].status_code == 200
    assert refused
    over_quota(refused[0])
    over_quota(ana.post("/messages", {"to": ben.id, "body": "hi"}))
    over_quota(ana.patch("/me", {"display_name": "Other"}))
    assert ben.post("/messages", {"to": ana.id, "body": "hi"}).status_code == 201
    assert ana.get("/notifications").status_code == 200
    assert ana.post("/logout").status_code == 204
    for _ in range(15):
        assert root.put(f"/posts/{post}/like").status_code == 200
    assert gateway.metric("bellwire_rate_limited_total", what="events") >= len(refused)


def test_long_messages_count_by_their_bytes_and_their_retries_do_not(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(**SETTINGS, LIMIT_BYTES="100000/day")
    ana, ben = gateway.users(2)
    long = {"to": ben.id, "body": "é" * 20_000}  # 40 KB, as a row and as an event
    answers = [ana.post("/messages", {**long, "client_id": client_id}).status_code for client_id in "aaab"]

    assert answers == [201, 200, 200, 201]
    over_quota(ana.post("/messages", {"to": ben.id, "body": "hi"}))
    over_quota(ana.post("/communication/chats/", {"receiver": ben.id, "message": "hi"}))
    for _ in range(10):
        ben.send("hi", to=ana)


def test_adding_many_people_counts_as_many_events(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(**SETTINGS, LIMIT_EVENTS="30/day")
    ana, *others = gateway.users(40)
    assert ana.post("/conversations", {"members": [other.id for other in others], "title": "all"}).status_code == 201
    over_quota(ana.post("/messages", {"to": others[0].id, "body": "hi"}))
