from collections.abc import Callable

import pytest

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import stream

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def test_a_stream_is_of_server_sent_events_and_begins_with_the_cursor_of_now(ana: Client, ben: Client) -> None:
    ana.send("before", to=ben)
    with stream(ben) as opened:
        assert opened.answer.headers["Content-Type"] == "text/event-stream"
        assert opened.answer.headers["Cache-Control"] == "no-store"
        assert next(opened.blocks()) is None
        assert opened.cursor == ben.now()

        sent = ana.send("after", to=ben)
        (told,) = opened.events(1)
        assert told["data"] == sent
        assert opened.cursor == told["id"]


@pytest.mark.only("sqlite")  # it waits, and the store has no part in it
def test_a_quiet_stream_sends_its_cursor_as_heartbeat(ana: Client, ben: Client, cleo: Client) -> None:
    with stream(ben) as opened:
        blocks = opened.blocks()
        assert next(blocks) is None
        ana.send("not for ben", to=cleo)
        assert next(blocks) is None
        assert opened.cursor == ben.now()


def test_last_event_id_wins_over_the_cursor_of_the_address(ana: Client, ben: Client) -> None:
    for n in range(3):
        ana.send(str(n), to=ben)
    told = ben.events("begin")

    with stream(ben, headers={"Last-Event-ID": told[2]["id"]}, cursor="begin") as opened:
        assert opened.events(1) == [told[3]]


def test_an_expired_cursor_is_told_first_and_the_stream_goes_on_from_now(ana: Client, ben: Client) -> None:
    ana.send("missed", to=ben)
    now = ben.now()
    with stream(ben, cursor="00000000-1") as opened:
        (expired,) = opened.events(1)
        assert expired == {"id": None, "type": "cursor.expired", "at": expired["at"], "data": {"cursor": now}}

        sent = ana.send("new", to=ben)
        assert [e["data"] for e in opened.events(1)] == [sent]


def test_a_stream_has_the_types_asked_for_alone(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    with stream(ben, cursor="begin", types="message.deleted") as opened:
        ana.delete(f"/messages/{sent['id']}")
        assert [e["type"] for e in opened.events(1)] == ["message.deleted"]


def test_a_long_backlog_comes_whole_and_in_order(gateway: Gateway, ana: Client, ben: Client) -> None:
    sending = [gateway.later(ana.send, str(n), to=ben) for n in range(230)]
    for one in sending:
        one.result()
    with stream(ben, cursor="begin") as opened:
        assert opened.events(231) == ben.events("begin")


def test_typing_comes_without_an_id(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    with stream(ben) as opened:
        next(opened.blocks())
        ana.post(f"/conversations/{group}/typing", {"typing": True})
        (told,) = opened.events(1)
    assert (told["id"], told["type"]) == (None, "typing")


def test_a_stream_ends_when_its_token_dies(ana: Client) -> None:
    with stream(ana) as opened:
        blocks = opened.blocks()
        next(blocks)
        ana.post("/logout")
        assert list(blocks) in ([], [None])


def test_a_stream_needs_a_token_which_the_address_may_hold(gateway: Gateway, ana: Client) -> None:
    problem(gateway.anonymous().get("/events/stream"), 401, "unauthorized")
    problem(gateway.anonymous().get("/events/stream", token="dead"), 401, "unauthorized")
    with stream(ana.with_token("dead"), headers={"Authorization": f"Token {ana.token}"}) as opened:
        assert opened.answer.status_code == 200
    with gateway.http.stream("GET", "/api/v1/events/stream", params={"token": ana.token}) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("polls", [2])
def test_streams_count_among_a_users_open_polls(make_gateway: Callable[..., Gateway], polls: int) -> None:
    gateway = make_gateway(OPEN_POLLS_PER_USER=str(polls))
    ana = gateway.user()
    with stream(ana) as oldest:
        blocks = oldest.blocks()
        next(blocks)
        with stream(ana) as second, stream(ana) as third:
            next(second.blocks())
            next(third.blocks())
            assert list(blocks) in ([], [None])
            gateway.waiting(2, "sse")


def test_a_stream_that_its_client_left_is_forgotten(gateway: Gateway, ana: Client) -> None:
    with stream(ana) as opened:
        next(opened.blocks())
        assert gateway.metric("bellwire_polls_open", transport="sse") >= 1
    gateway.waiting(0, "sse")


def test_no_stream_outlives_its_token_however_close_both_are(gateway: Gateway) -> None:
    left = []
    for one in gateway.users(60):
        left.append(gateway.later(gateway.http.get, "/api/v1/events/stream", params={"token": one.token, "cursor": "begin"}))
        gateway.later(one.post, "/logout")

    assert {stream.result().status_code for stream in left} <= {200, 401}
