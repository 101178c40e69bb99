from collections.abc import Callable

import pytest

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import stream

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def test_a_stream_sends_server_sent_events_and_begins_with_a_block_of_the_newest_cursor(ana: Client, ben: Client) -> None:
    ana.send("before", to=ben)
    with stream(ben) as opened:
        assert opened.answer.headers["Content-Type"] == "text/event-stream"
        assert opened.answer.headers["Cache-Control"] == "no-store"
        assert next(opened.blocks()) == {"type": "cursor", "id": ben.now()}
        assert opened.cursor == ben.now()

        sent = ana.send("after", to=ben)
        (event,) = opened.events(1)
        assert event["data"] == sent
        assert opened.cursor == event["id"]


@pytest.mark.only("sqlite")  # this test waits, and the store has no part in it
def test_a_stream_without_events_sends_its_cursor_as_heartbeat(ana: Client, ben: Client, cleo: Client) -> None:
    with stream(ben) as opened:
        blocks = opened.blocks()
        assert next(blocks) == {"type": "cursor", "id": ben.now()}
        ana.send("not for ben", to=cleo)
        assert next(blocks) is None
        assert opened.cursor == ben.now()


def test_last_event_id_overrides_the_cursor_parameter(ana: Client, ben: Client) -> None:
    for n in range(3):
        ana.send(str(n), to=ben)
    events = ben.events("begin")

    with stream(ben, headers={"Last-Event-ID": events[2]["id"]}, cursor="begin") as opened:
        assert next(opened.blocks()) == {"type": "cursor", "id": events[2]["id"]}
        assert opened.events(1) == [events[3]]


def test_an_expired_cursor_is_the_first_event_and_the_stream_continues_from_the_newest(ana: Client, ben: Client) -> None:
    ana.send("missed", to=ben)
    now = ben.now()
    with stream(ben, cursor="00000000-1") as opened:
        (expired,) = opened.events(1)
        assert expired == {"id": None, "type": "cursor.expired", "at": expired["at"], "data": {"cursor": now}}

        sent = ana.send("new", to=ben)
        assert [e["data"] for e in opened.events(1)] == [sent]


def test_a_stream_has_only_the_requested_types(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    with stream(ben, cursor="begin", types="message.deleted") as opened:
        ana.delete(f"/messages/{sent['id']}")
        assert [e["type"] for e in opened.events(1)] == ["message.deleted"]


def test_a_long_backlog_arrives_complete_and_in_order(gateway: Gateway, ana: Client, ben: Client) -> None:
    sending = [gateway.later(ana.send, str(n), to=ben) for n in range(230)]
    for send in sending:
        send.result()
    with stream(ben, cursor="begin") as opened:
        assert opened.events(231) == ben.events("begin")


def test_a_typing_event_has_no_id(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    with stream(ben) as opened:
        next(opened.blocks())
        ana.post(f"/conversations/{group}/typing", {"typing": True})
        (event,) = opened.events(1)
    assert (event["id"], event["type"]) == (None, "typing")


def test_a_stream_ends_when_its_token_is_revoked(ana: Client) -> None:
    with stream(ana) as opened:
        blocks = opened.blocks()
        next(blocks)
        ana.post("/logout")
        assert list(blocks) in ([], [None])


def test_a_stream_needs_a_token_in_the_header_or_the_url(gateway: Gateway, ana: Client) -> None:
    problem(gateway.anonymous().get("/events/stream"), 401, "unauthorized")
    problem(gateway.anonymous().get("/events/stream", token="dead"), 401, "unauthorized")
    with stream(ana.with_token("dead"), headers={"Authorization": f"Token {ana.token}"}) as opened:
        assert opened.answer.status_code == 200
    with gateway.http.stream("GET", "/api/v1/events/stream", params={"token": ana.token}) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("polls", [2])
def test_streams_count_as_open_polls_of_their_user(make_gateway: Callable[..., Gateway], polls: int) -> None:
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


def test_a_stream_that_its_client_closed_is_no_longer_counted(gateway: Gateway, ana: Client) -> None:
    with stream(ana) as opened:
        next(opened.blocks())
        assert gateway.metric("bellwire_polls_open", transport="sse") >= 1
    gateway.waiting(0, "sse")


def test_a_stream_opened_while_its_token_is_revoked_ends(gateway: Gateway) -> None:
    streams = []
    for user in gateway.users(60):
        streams.append(gateway.later(gateway.http.get, "/api/v1/events/stream", params={"token": user.token, "cursor": "begin"}))
        gateway.later(user.post, "/logout")

    assert {stream.result().status_code for stream in streams} <= {200, 401}
