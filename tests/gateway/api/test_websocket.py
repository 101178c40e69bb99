from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import closed, socket

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it


def test_a_socket_begins_with_the_newest_cursor_and_then_sends_one_event_per_frame(ana: Client, ben: Client) -> None:
    ana.send("before", to=ben)
    with socket(ben) as opened:
        assert opened.frame() == {"type": "cursor", "id": ben.now()}
        sent = ana.send("after", to=ben)
        event = opened.frame()
    assert event["data"] == sent
    assert event == ben.events("begin")[-1]


def test_a_socket_resumes_from_its_cursor(ana: Client, ben: Client) -> None:
    for n in range(3):
        ana.send(str(n), to=ben)
    events = ben.events("begin")

    with socket(ben, query=f"?cursor={events[1]['id']}") as opened:
        assert opened.frame() == {"type": "cursor", "id": events[1]["id"]}
        assert opened.events(2) == events[2:]


def test_an_expired_cursor_is_the_first_event_and_the_socket_continues_from_the_newest(ana: Client, ben: Client) -> None:
    ana.send("missed", to=ben)
    now = ben.now()
    with socket(ben, query="?cursor=00000000-1") as opened:
        (expired,) = opened.events(1)
        assert (expired["id"], expired["type"], expired["data"]) == (None, "cursor.expired", {"cursor": now})
        sent = ana.send("new", to=ben)
        assert [e["data"] for e in opened.events(1)] == [sent]


def test_a_socket_has_only_the_requested_types(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    with socket(ben, query="?types=message.deleted&cursor=begin") as opened:
        ana.delete(f"/messages/{sent['id']}")
        assert [e["type"] for e in opened.events(1)] == ["message.deleted"]


def test_a_typing_event_has_no_id(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    with socket(ben) as opened:
        opened.frame()
        ana.post(f"/conversations/{group}/typing", {"typing": False})
        (event,) = opened.events(1)
    assert (event["id"], event["data"]["typing"]) == (None, False)


@pytest.mark.parametrize("query", ["?token={}", ""])
def test_the_token_is_in_the_url_or_in_a_header(gateway: Gateway, ana: Client, query: str) -> None:
    user = ana if not query else gateway.anonymous()
    with socket(user, query=query.format(ana.token)) as opened:
        assert opened.frame()["type"] == "cursor"


@pytest.mark.parametrize("query", ["", "?token=dead"])
def test_without_a_valid_token_the_handshake_is_refused(gateway: Gateway, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(gateway.anonymous(), query=query):
        pass
    assert refused.value.response.status_code == 401


def test_a_socket_closes_with_4401_when_its_token_is_revoked(ana: Client) -> None:
    with socket(ana) as opened:
        opened.frame()
        ana.post("/logout")
        assert closed(opened) == 4401


def test_the_oldest_of_too_many_sockets_closes_with_1013(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(OPEN_POLLS_PER_USER="1")
    ana = gateway.user()
    with socket(ana) as oldest:
        oldest.frame()
        with socket(ana) as newest:
            newest.frame()
            assert closed(oldest) == 1013


def test_a_request_that_is_no_handshake_gets_a_problem_document(ana: Client) -> None:
    problem(ana.get("/events/ws"), 400, "malformed")
    problem(ana.get("/events/ws", headers={"Upgrade": "h2c", "Connection": "Upgrade"}), 400, "malformed")
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "https://evil.example.org"}
    problem(ana.get("/events/ws", headers=headers), 403, "forbidden")


def test_frames_of_a_client_are_ignored(ana: Client, ben: Client) -> None:
    with socket(ben) as opened:
        opened.frame()
        for frame in ("hello", "{", b"\x00\xff", "x" * 4000):
            opened.connection.send(frame)
        sent = ana.send("still there", to=ben)
        assert [e["data"] for e in opened.events(2)][1] == sent


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://app.example.org", 101), ("https://evil.example.org", 403), ("http://own", 101), ("null", 403), (None, 101)],
)
def test_only_pages_of_allowed_origins_open_a_socket(
    make_gateway: Callable[..., Gateway], guarded: Gateway, origin: str | None, status: int
) -> None:
    user = guarded.user()
    headers = {} if origin is None else {"Origin": guarded.url if origin == "http://own" else origin}
    if status == 101:
        with socket(user, headers=headers) as opened:
            assert opened.frame()["type"] == "cursor"
        return
    with pytest.raises(InvalidStatus) as refused, socket(user, headers=headers):
        pass
    assert refused.value.response.status_code == status


@pytest.fixture(scope="module")
def guarded(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that allows one other origin."""
    return make_gateway(ALLOWED_ORIGINS="https://app.example.org:443")


def test_a_socket_that_its_client_closed_is_no_longer_counted(gateway: Gateway, ana: Client) -> None:
    with socket(ana) as opened:
        opened.frame()
        gateway.waiting(1, "ws")
        opened.connection.socket.close()
    gateway.waiting(0, "ws")


def test_stopping_closes_sockets_with_1001(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    with socket(gateway.user()) as opened:
        opened.frame()
        gateway.terminate()
        assert closed(opened) == 1001
        with socket(gateway.user()) as late:
            assert closed(late) == 1001


def test_a_socket_closes_with_1013_when_the_store_fails(gateway: Gateway, ana: Client, ben: Client) -> None:
    ana.send("hi", to=ben)
    gateway.execute("ALTER TABLE facts RENAME TO elsewhere")
    try:
        with socket(ben, query="?cursor=begin") as opened:
            assert closed(opened) == 1013
    finally:
        gateway.execute("ALTER TABLE elsewhere RENAME TO facts")
