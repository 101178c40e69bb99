from typing import Any

import httpx
import pytest

from models.identity import token
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

CHATS, POLL = "/communication/chats/", "/communication/poll/events/"


def polled(user: Client) -> list[dict[str, Any]]:
    """Return the events of one poll of an older client, which sends its token in the URL."""
    answer = user.gateway.anonymous().get(POLL, token=user.token)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"events"}
    return [e for e in answer.json()["events"] if e["id"] is not None]


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [e["data"]["message"] for e in events if e["type"] == "message.created"]


def test_a_chat_is_a_direct_message_in_the_older_shape(ana: Client, ben: Client) -> None:
    answer = ana.post(CHATS, {"receiver": ben.id, "message": f"hi @{ben.name}"})

    assert answer.status_code == 201
    chat = answer.json()
    sent = ben.get(f"/messages/{chat['id']}").json()
    assert chat == {
        "id": sent["id"],
        "conversation": sent["conversation"],
        "sender": ana.id,
        "receiver": ben.id,
        "message": sent["body"],
        "timestamp": sent["created_at"],
        "is_read": False,
    }
    assert (sent["body"], sent["mentions"]) == (f"hi @{ben.name}", [ben.id])


def test_unknown_fields_are_ignored(ana: Client, ben: Client) -> None:
    body = {"receiver": ben.id, "message": "hi", "type": "text", "attachments": [{"deep": [1, 2]}], "client_id": "x"}

    assert ana.post(CHATS, body).status_code == 201
    assert ana.post(CHATS, body).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": "hi"}, "receiver"),
        ({"receiver": 1}, "message"),
        ({"receiver": "x", "message": "hi"}, "receiver"),
        ({"receiver": 0, "message": "hi"}, "receiver"),
        ({"receiver": 2**63, "message": "hi"}, "receiver"),
        ({"receiver": 1, "message": 5}, "message"),
        ({"receiver": 1, "message": ""}, "message"),
        ({"receiver": 1, "message": "x" * 20_001}, "message"),
    ],
)
def test_an_invalid_field_is_named_by_its_older_name(ana: Client, body: dict[str, object], field: str) -> None:
    assert fields(ana.post(CHATS, body)) == [field]


def test_a_chat_with_oneself_or_an_unknown_user_is_refused(ana: Client) -> None:
    assert fields(ana.post(CHATS, {"receiver": ana.id, "message": "hi"})) == ["receiver"]
    problem(ana.post(CHATS, {"receiver": 10**15, "message": "hi"}), 404, "not-found")


def test_paths_end_with_a_slash(ana: Client) -> None:
    problem(ana.post(CHATS.rstrip("/"), {"receiver": 1, "message": "x"}), 404, "not-found")
    problem(ana.get(POLL.rstrip("/")), 404, "not-found")


def test_a_poll_needs_a_valid_token(gateway: Gateway) -> None:
    problem(gateway.anonymous().get(POLL), 401, "unauthorized")
    problem(gateway.anonymous().get(POLL, token="dead"), 401, "unauthorized")
    problem(gateway.anonymous().post(CHATS, {"receiver": 1, "message": "x"}), 401, "unauthorized")


def test_the_first_poll_begins_when_the_token_was_created(gateway: Gateway, ana: Client, ben: Client) -> None:
    ana.send("before the token", to=ben)
    with gateway.store(), event.transaction() as tx:
        newer_session = ben.with_token(token.create(tx, ben.id))
    ana.send("after the token", to=ben)

    events = polled(newer_session)
    assert messages(events) == ["after the token"]
    assert {**events[0]["data"], "message": None} == {**ben.events("begin")[-1]["data"], "message": None}
    assert messages(polled(ben)) == ["before the token", "after the token"]


def test_a_client_that_polls_again_immediately_gets_each_event_once(gateway: Gateway, ana: Client, ben: Client) -> None:
    sending = gateway.later(lambda: [ana.send(str(n), to=ben) for n in range(60)])
    seen: list[str] = []
    while len(seen) < 60:
        seen += messages(polled(ben))

    sending.result()
    assert seen == [str(n) for n in range(60)]


def test_many_events_arrive_in_order_over_several_polls(gateway: Gateway, ana: Client, ben: Client) -> None:
    sending = [gateway.later(ana.send, str(n), to=ben) for n in range(230)]
    for send in sending:
        send.result()
    expected = [e["data"]["body"] for e in ben.events("begin") if e["type"] == "message.created"]

    first, second = messages(polled(ben)), messages(polled(ben))
    assert first + second == expected


def test_an_open_poll_is_answered_when_an_event_arrives(gateway: Gateway, ana: Client, ben: Client) -> None:
    conversation = ana.send("first", to=ben)["conversation"]
    polled(ben)
    poll = gateway.later(polled, ben)
    gateway.waiting(1)

    ana.send("second", at=conversation)
    assert messages(poll.result()) == ["second"]


@pytest.mark.only("sqlite")  # this test waits, and the store has no part in it
def test_a_poll_without_events_ends_empty_after_its_timeout(ana: Client, ben: Client) -> None:
    ana.send("hi", to=ben)
    polled(ben)

    assert polled(ben) == []
    ana.send("later", to=ben)
    assert messages(polled(ben)) == ["later"]


def test_two_open_polls_of_one_token_both_get_an_event(gateway: Gateway, ana: Client, ben: Client) -> None:
    conversation = ana.send("first", to=ben)["conversation"]
    polled(ben)
    waiting = [gateway.later(polled, ben)]
    gateway.waiting(1)
    waiting.append(gateway.later(polled, ben))
    gateway.waiting(2)
    ana.send("second", at=conversation)

    assert [messages(poll.result()) for poll in waiting] == [["second"], ["second"]]
    ana.send("third", at=conversation)
    assert messages(polled(ben)) == ["third"]


def test_each_token_has_a_separate_cursor(gateway: Gateway, ana: Client, ben: Client) -> None:
    with gateway.store(), event.transaction() as tx:
        other = ben.with_token(token.create(tx, ben.id))
    ana.send("to both", to=ben)

    assert messages(polled(ben)) == messages(polled(other)) == ["to both"]


def test_the_cursor_survives_a_restart(gateway: Gateway, ana: Client, ben: Client) -> None:
    ana.send("one", to=ben)
    assert messages(polled(ben)) == ["one"]
    ana.send("two", to=ben)
    assert messages(polled(ben)) == ["two"]
    gateway.restart()
    ana.send("three", to=ben)

    seen = messages(polled(ben))
    assert seen[-1] == "three"
    assert set(seen) <= {"two", "three"}


def test_an_expired_cursor_continues_at_the_oldest_kept_event(gateway: Gateway, ana: Client, ben: Client) -> None:
    ana.send("trimmed", to=ben)
    ana.send("kept", to=ben)
    newest = gateway.rows("SELECT max(id) FROM events")[0][0]
    gateway.execute("DELETE FROM events WHERE id<?", newest)
    gateway.execute("UPDATE facts SET value=? WHERE name='trimmed'", str(newest - 1))
    gateway.restart()

    assert messages(polled(ben)) == ["kept"]


def test_edits_and_deletions_carry_the_text_under_its_older_name_too(ana: Client, ben: Client) -> None:
    sent = ana.send("helo", to=ben)
    polled(ben)
    ana.patch(f"/messages/{sent['id']}", {"body": "hello"})
    ana.delete(f"/messages/{sent['id']}")

    assert [(e["type"], e["data"]["message"]) for e in polled(ben)] == [("message.updated", ""), ("message.deleted", "")]


def test_a_poll_ends_with_401_when_its_token_is_revoked(gateway: Gateway, ana: Client) -> None:
    poll = gateway.later(gateway.anonymous().get, POLL, token=ana.token)
    gateway.waiting(1)
    ana.post("/logout")

    problem(poll.result(), 401, "unauthorized")


def test_an_answer_that_its_client_did_not_read_is_sent_again(gateway: Gateway, ana: Client, ben: Client) -> None:
    conversation = ana.send("first", to=ben)["conversation"]
    polled(ben)
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.get(f"/api/v1{POLL}", params={"token": ben.token}, timeout=0.2)
    ana.send("second", at=conversation)

    assert messages(polled(ben)) == ["second"]
    assert "Traceback" not in gateway.stderr()


def test_a_head_request_counts_nothing_as_delivered(ana: Client, ben: Client) -> None:
    ben.post(CHATS, {"receiver": ana.id, "message": "one"})
    for _ in range(2):
        answer = ana.call("HEAD", POLL)
        assert (answer.status_code, answer.content) == (200, b"")
    assert messages(polled(ana)) == ["one"]
