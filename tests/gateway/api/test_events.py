from collections.abc import Callable
from typing import Any

import pytest

from models.identity import token, user
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.waiting import until


def bodies(events: list[dict[str, Any]]) -> list[str]:
    return [e["data"]["body"] for e in events if e["type"] == "message.created"]


def test_a_poll_without_a_cursor_returns_the_newest_cursor_at_once(ana: Client, ben: Client) -> None:
    ana.send("before", to=ben)
    answer = ben.get("/events", timeout=60).json()
    assert answer == {"events": [], "cursor": answer["cursor"], "more": False}

    ana.send("after", to=ben)
    assert bodies(ben.events(answer["cursor"])) == ["after"]


def test_a_poll_from_the_beginning_returns_all_kept_events_of_the_user(ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("one", to=ben)
    cleo.send("not for ben", to=ana)
    ana.send("two", to=ben)

    events = ben.events("begin")
    assert [e["type"] for e in events] == ["conversation.created", "message.created", "message.created"]
    assert bodies(events) == ["one", "two"]


def test_an_event_has_a_cursor_a_type_a_time_and_data(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)

    event = ben.events("begin")[-1]
    assert event == {"id": event["id"], "type": "message.created", "at": sent["created_at"], "data": sent}
    assert isinstance(event["id"], str)


def test_every_events_id_is_a_cursor(ana: Client, ben: Client) -> None:
    for n in range(4):
        ana.send(str(n), to=ben)

    events = ben.events("begin")
    for n, id_ in enumerate(e["id"] for e in events):
        assert ben.events(id_) == events[n + 1 :]


def test_existing_events_are_returned_at_once_with_any_timeout(ana: Client, ben: Client) -> None:
    cursor = ben.now()
    ana.send("there", to=ben)

    assert bodies(ben.poll(cursor, timeout=60)["events"]) == ["there"]


def test_an_open_poll_is_answered_when_an_event_arrives(gateway: Gateway, ana: Client, ben: Client) -> None:
    conversation = ana.send("first", to=ben)["conversation"]
    cursor = ben.now()
    poll = ben.polling(cursor, timeout=60)
    gateway.waiting(1)

    sent = ana.send("second", at=conversation)
    answer = poll.result().json()
    assert [e["data"] for e in answer["events"] if e["id"] is not None] == [sent]
    assert ben.poll(answer["cursor"])["events"] == []
    assert ben.poll(cursor)["cursor"] == answer["cursor"]


def test_several_devices_read_the_same_events_from_the_same_cursor(ana: Client, ben: Client) -> None:
    cursor = ben.now()
    ana.send("hi", to=ben)

    assert ben.events(cursor) == ben.events(cursor) == ben.events(cursor)


def test_a_poll_with_timeout_0_returns_no_events_and_a_newer_cursor(ana: Client, ben: Client, cleo: Client) -> None:
    cursor = ben.now()
    ana.send("not for ben", to=cleo)

    answer = ben.poll(cursor, timeout=0)
    assert answer["events"] == []
    assert answer["more"] is False
    assert answer["cursor"] == cleo.poll(cursor)["cursor"] != cursor


def test_an_open_poll_that_ends_empty_returns_a_cursor_past_events_of_others(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    cursor = ben.now()
    poll = ben.polling(cursor, timeout=0.5)
    ana.send("not for ben", to=cleo)

    assert poll.result().json()["cursor"] == cleo.now()


@pytest.mark.parametrize("timeout", ["-1", "60.5", "x", "nan", "inf", "1e9"])
def test_a_timeout_is_from_0_to_60_seconds(ana: Client, timeout: str) -> None:
    assert fields(ana.get("/events", cursor=ana.now(), timeout=timeout)) == ["timeout"]


def test_without_a_timeout_parameter_the_setting_applies(make_gateway: Callable[..., Gateway]) -> None:
    for seconds in ("0.05", "90"):
        gateway = make_gateway(POLL_TIMEOUT_S=seconds)
        ana, ben = gateway.users(2)
        cursor = ana.now()
        poll = gateway.later(ana.get, "/events", cursor=cursor)
        if seconds == "90":
            gateway.waiting(1)
            ben.send("hi", to=ana)
        assert len(poll.result().json()["events"]) == (2 if seconds == "90" else 0)


@pytest.mark.parametrize("cursor", ["", "x", "abc-", "abc-x", "5", "-", "a-²", "a-1.5", "a-" + "9" * 30, "abc--5"])
def test_an_invalid_cursor_is_named(ana: Client, cursor: str) -> None:
    assert fields(ana.get("/events", cursor=cursor)) == ["cursor"]
    assert fields(ana.get("/events/stream", cursor=cursor)) == ["cursor"]
    assert fields(ana.get("/events/ws", cursor=cursor)) == ["cursor"]


def epoch_and_number(cursor: str) -> tuple[str, int]:
    name, _, number = cursor.rpartition("-")
    return name, int(number)


def test_a_cursor_of_another_epoch_or_past_the_head_is_410_with_the_newest_cursor(ana: Client, ben: Client) -> None:
    ana.send("hi", to=ben)
    now = ben.now()
    name, head = epoch_and_number(now)

    for cursor in (f"00000000-{head}", f"{name}-{head + 1}", f"{name}-{10**15}"):
        assert problem(ben.get("/events", cursor=cursor, timeout=0), 410, "cursor-expired")["cursor"] == now
    assert ben.poll(now)["events"] == []


def test_a_cursor_older_than_the_kept_events_is_410(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    old = ben.now()
    ana.send("one", to=ben)
    ana.send("two", to=ben)
    kept = ben.events(old)[-1]
    gateway.execute("DELETE FROM events WHERE id<?", epoch_and_number(kept["id"])[1])
    gateway.execute("UPDATE facts SET value=? WHERE name='trimmed'", str(epoch_and_number(kept["id"])[1] - 1))
    gateway.restart()

    now = ben.now()
    assert problem(ben.get("/events", cursor=old, timeout=0), 410, "cursor-expired")["cursor"] == now
    assert ben.events("begin") == [kept]
    name, number = epoch_and_number(kept["id"])
    assert ben.events(f"{name}-{number - 1}") == [kept]


def test_a_cursor_is_valid_after_a_restart_and_no_event_is_lost_or_repeated(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    cursor = ben.now()
    for n in range(3):
        ana.send(str(n), to=ben)
    middle = ben.events(cursor)[2]["id"]
    gateway.restart()
    ana.send("3", to=ben)

    assert bodies(ben.events(cursor)) == ["0", "1", "2", "3"]
    assert bodies(ben.events(middle)) == ["2", "3"]


def test_only_requested_types_are_returned_and_the_cursor_passes_the_others(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    cursor = ben.now()
    ben.put(f"/messages/{sent['id']}/reactions/x")
    ana.send("there", to=ben)
    ana.patch(f"/messages/{sent['id']}", {"body": "hey"})

    assert ben.event_types(cursor, types="message.reacted,message.updated") == ["message.reacted", "message.updated"]
    answer = ben.poll(cursor, types="member.joined")
    assert answer["events"] == []
    assert answer["cursor"] == ben.now()


def test_a_type_that_does_not_exist_is_refused(ana: Client) -> None:
    for path in ("/events", "/events/stream", "/events/ws"):
        refused = ana.get(path, cursor="begin", types="message.created,nonsense")
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["field"] == "types"
        assert "message.created" in error["message"]


def test_events_of_other_types_do_not_end_a_filtered_poll(gateway: Gateway, ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    poll = ben.polling(ben.now(), timeout=60, types="message.deleted")
    gateway.waiting(1)

    ana.patch(f"/messages/{sent['id']}", {"body": "hey"})
    ana.delete(f"/messages/{sent['id']}")
    answer = poll.result().json()
    assert [e["type"] for e in answer["events"]] == ["message.deleted"]


def test_more_than_two_hundred_events_arrive_in_several_answers_without_a_gap(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    cursor = ben.now()
    sent = [f.result()["body"] for f in [gateway.later(ana.send, str(n), to=ben) for n in range(230)]]

    for _ in range(2):
        first = ben.poll(cursor)
        assert (len(first["events"]), first["more"]) == (200, True)
        rest = ben.poll(first["cursor"], timeout=60)
        assert rest["more"] is False
        events = first["events"] + rest["events"]
        assert sorted(bodies(events)) == sorted(sent)
        assert [epoch_and_number(e["id"]) for e in events] == sorted(epoch_and_number(e["id"]) for e in events)
        assert ben.poll(cursor, types="message.created")["more"] is True
        gateway.restart()


def test_a_new_member_gets_only_events_after_joining(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    ana.send("before", at=group)
    cleo.poll("begin")
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ana.send("after", at=group)

    events = cleo.events("begin")
    assert [e["type"] for e in events] == ["conversation.created", "member.joined", "message.created"]
    assert events[0]["data"]["id"] == group
    user, by = (cleo.get(f"/users/{person.id}").json() for person in (cleo, ana))
    assert events[1]["data"] == {"conversation": group, "user": user, "by": by}
    assert bodies(events) == ["after"]


def test_a_leaving_member_gets_one_member_left_and_nothing_after_it(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    cursor = cleo.now()
    ana.send("before", at=group)
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    ana.send("after", at=group)

    events = cleo.events(cursor)
    assert [e["type"] for e in events] == ["message.created", "member.left"]
    user = cleo.get(f"/users/{cleo.id}").json()
    assert events[1]["data"] == {"conversation": group, "user": user, "by": user}
    assert ben.event_types(cursor) == ["message.created", "member.left", "message.created"]


def test_a_member_who_left_and_returned_gets_no_events_of_the_time_between(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    cursor = cleo.now()
    path = f"/conversations/{group}/members/{cleo.id}"
    for n in range(2):
        ana.send(f"in {n}", at=group)
        ana.delete(path)
        ana.send(f"out {n}", at=group)
        ana.put(path)

    assert bodies(cleo.events(cursor)) == ["in 0", "in 1"]


def test_members_get_the_same_events_from_memory_and_from_the_store(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben, cleo = gateway.users(3)
    group = ana.group(ben)
    ana.send("before", at=group)
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ana.send("in", at=group)
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    ana.send("out", at=group)
    from_memory = [u.events("begin") for u in (ana, ben, cleo)]
    gateway.restart()

    assert [u.events("begin") for u in (ana, ben, cleo)] == from_memory
    assert [e["type"] for e in from_memory[2]] == ["conversation.created", "member.joined", "message.created", "member.left"]


def test_an_open_poll_gets_the_created_conversation_and_then_the_joining(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    group = ana.group(ben)
    cursor = cleo.now()
    poll = cleo.polling(cursor, timeout=60)
    gateway.waiting(1)

    ana.put(f"/conversations/{group}/members/{cleo.id}")
    first = [e for e in poll.result().json()["events"] if e["id"] is not None]
    assert first[0]["type"] == "conversation.created"
    assert cleo.event_types(cursor) == ["conversation.created", "member.joined"]


def test_the_21st_open_poll_of_a_user_ends_the_oldest_one_empty(gateway: Gateway, ana: Client, ben: Client) -> None:
    cursor = ana.now()
    oldest = ana.polling(cursor, timeout=60)
    gateway.waiting(1)
    others = [ana.polling(cursor, timeout=60) for _ in range(19)]
    gateway.waiting(20)
    assert not oldest.done()

    others.append(gateway.later(ana.get, "/events", cursor=cursor, timeout=60))
    answer = oldest.result().json()
    assert [e for e in answer["events"] if e["id"] is not None] == []
    assert answer["cursor"].startswith(cursor.partition("-")[0])
    gateway.waiting(20)
    assert not any(poll.done() for poll in others)

    ben.send("hi", to=ana)
    assert all(poll.result().json()["events"] for poll in others)


def test_presence_ends_no_poll_and_is_part_of_the_next_answer(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    conversation = ana.send("hi", to=ben)["conversation"]
    cursor = ben.now()
    poll = ben.polling(cursor, timeout=60)
    watching = [ben.polling(cursor, types="presence", timeout=timeout) for timeout in (2, 10, 50)]
    gateway.waiting(4)

    ana.poll(ana.now())  # the gateway loads Ana, and she is online
    with stream(ana) as opened:
        next(opened.blocks())
        assert any(each.result().json()["events"] for each in watching), "it is announced"
        assert not poll.done()
        ana.send("and now", at=conversation)
    events = poll.result().json()["events"]
    assert bodies(events) == ["and now"]
    presence = [e for e in events if e["type"] == "presence"]
    assert [(e["id"], e["data"]) for e in presence] == [(None, {"user": ana.id, "online": True})]
    admin.delete(f"/admin/users/{ben.id}/tokens")  # ends the other polls
    gateway.waiting(0)


def until_online(gateway: Gateway, user: Client) -> None:
    until(lambda: gateway.rows("SELECT 1 FROM online WHERE user_id=?", user.id))


def test_the_state_has_the_ids_of_those_whom_one_blocks(ana: Client, ben: Client, cleo: Client) -> None:
    for other in (ben, cleo):
        assert ana.put(f"/me/blocks/{other.id}").status_code == 204
    assert ana.delete(f"/me/blocks/{ben.id}").status_code == 204
    assert [who.get("/state").json()["blocked"] for who in (ana, cleo)] == [[cleo.id], []]


def test_presence_is_shown_only_to_users_who_share_a_conversation(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("hi", to=ben)
    cleo.poll("begin")
    poll = cleo.polling(cleo.now(), timeout=0.3)
    ana.poll(ana.now())

    assert poll.result().json()["events"] == []
    assert str(ana.id) not in cleo.get("/state").json()["presence"]


def test_a_state_has_all_that_a_client_starts_from(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    sent = ana.send("hi", to=ben)
    ben.poll(ben.now())
    until_online(gateway, ben)

    state = ana.get("/state").json()
    assert state["me"] == ana.get("/me").json()
    assert state["conversations"] == ana.get("/conversations").json()["items"]
    assert [c["id"] for c in state["conversations"]] == [sent["conversation"], group]
    assert state["presence"] == {str(ben.id): True, str(cleo.id): False}
    assert state["notifications_unread"] == 0
    ben.send("after the state", to=ana)
    assert bodies(ana.events(state["cursor"])) == ["after the state"]


def test_a_state_and_the_events_after_it_have_no_gap_or_overlap_while_others_write(
    gateway: Gateway, ana: Client, ben: Client
) -> None:
    conversation = ana.send("0", to=ben)["conversation"]
    writing = [gateway.later(ana.send, str(n), at=conversation) for n in range(60)]
    states = [ben.get("/state").json() for _ in range(10)]
    for send in writing:
        send.result()
    all_messages = [e["data"]["id"] for e in ben.events("begin") if e["type"] == "message.created"]

    for state in states:
        last = state["conversations"][0]["last_message"]["id"]
        after = [e["data"]["id"] for e in ben.events(state["cursor"])]
        assert after == all_messages[all_messages.index(last) + 1 :]


def over_poll(user: Client, cursor: str, count: int) -> list[dict[str, Any]]:
    return user.events(cursor)


def over_stream(user: Client, cursor: str, count: int) -> list[dict[str, Any]]:
    with stream(user, cursor=cursor) as opened:
        return opened.events(count)


def over_resumed_stream(user: Client, cursor: str, count: int) -> list[dict[str, Any]]:
    with stream(user, headers={"Last-Event-ID": cursor}) as opened:
        first = opened.events(2)
    with stream(user, headers={"Last-Event-ID": first[-1]["id"]}) as opened:
        return first + opened.events(count - 2)


def over_socket(user: Client, cursor: str, count: int) -> list[dict[str, Any]]:
    with socket(user, query=f"?cursor={cursor}") as opened:
        return opened.events(count)


@pytest.mark.parametrize("read", [over_poll, over_stream, over_resumed_stream, over_socket])
@pytest.mark.parametrize("begin", [True, False])
def test_each_transport_delivers_the_same_events_in_the_same_order(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client, begin: bool, read: Callable[[Client, str, int], list[dict[str, Any]]]
) -> None:
    cursor = "begin" if begin else ben.now()
    group = ana.group(ben)
    sent = ana.send("one", at=group)
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ben.put(f"/messages/{sent['id']}/reactions/x")
    ana.patch(f"/messages/{sent['id']}", {"body": "uno"})
    ben.post(f"/conversations/{group}/read", {"message": sent["id"]})
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    ana.delete(f"/messages/{sent['id']}")
    ana.patch(f"/conversations/{group}", {"title": "End"})

    events = read(ben, cursor, 9)
    assert events == ben.events("begin")
    assert [e["type"] for e in events] == [
        "conversation.created",
        "message.created",
        "member.joined",
        "message.reacted",
        "message.updated",
        "read.updated",
        "member.left",
        "message.deleted",
        "conversation.updated",
    ]


def test_a_second_gateway_on_the_store_returns_the_same_events_for_the_same_cursors(
    gateway: Gateway, make_gateway: Callable[..., Gateway], ana: Client, ben: Client
) -> None:
    second = make_gateway(beside=gateway)
    ben_on_second = ben.at(second)
    conversation = ana.send("hi", to=ben)["conversation"]
    cursor = ben.now()
    poll = ben_on_second.polling(cursor, timeout=60)
    second.waiting(1)

    ana.send("from the first", at=conversation)
    assert bodies(poll.result().json()["events"]) == ["from the first"]
    writing = [gateway.later(ana.at(gateway if n % 2 else second).send, str(n), at=conversation) for n in range(40)]
    sent = {f.result()["id"] for f in writing}
    until(lambda: len(ben.events(cursor)) == len(ben_on_second.events(cursor)) == 41)
    here = ben.events(cursor)
    assert ben_on_second.events(cursor) == here
    assert {e["data"]["id"] for e in here[1:]} == sent
    assert [e["data"]["id"] for e in here] == sorted(e["data"]["id"] for e in here)


def test_a_token_revoked_on_one_gateway_is_refused_by_all(
    gateway: Gateway, make_gateway: Callable[..., Gateway], ana: Client
) -> None:
    second = make_gateway(beside=gateway)
    ana_on_second = ana.at(second)
    poll = ana_on_second.polling(ana.now(), timeout=60)
    second.waiting(1)

    ana.post("/logout")
    problem(poll.result(), 401, "unauthorized")
    problem(ana_on_second.get("/me"), 401, "unauthorized")
    problem(ana_on_second.post("/messages", {"to": 1, "body": "x"}), 401, "unauthorized")


def test_a_token_revoked_in_the_store_ends_its_polls_and_no_other_tokens(gateway: Gateway, ana: Client) -> None:
    with gateway.store(), event.transaction() as tx:
        other = ana.with_token(token.create(tx, ana.id))
    number = gateway.rows("SELECT max(id) FROM tokens")[0][0]
    cursor = ana.now()
    revoked_poll, valid_poll = other.polling(cursor, timeout=60), ana.polling(cursor, timeout=60)
    gateway.waiting(2)

    with gateway.store(), event.transaction() as tx:
        token.revoke(tx, ana.id, [number])
    problem(revoked_poll.result(), 401, "unauthorized")
    assert not valid_poll.done()
    with gateway.store(), event.transaction() as tx:
        user.change(tx, ana.id, status="suspended")
    problem(valid_poll.result(), 401, "unauthorized")
