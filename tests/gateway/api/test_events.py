from collections.abc import Callable
from typing import Any

import pytest

from models.identity import token, user
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway, until
from tests.gateway.transports import socket, stream


def bodies(events: list[dict[str, Any]]) -> list[str]:
    return [e["data"]["body"] for e in events if e["type"] == "message.created"]


def test_without_a_cursor_a_poll_answers_at_once_with_the_cursor_of_now(ana: Client, ben: Client) -> None:
    ana.send("before", to=ben)
    answer = ben.get("/events", timeout=60).json()
    assert answer == {"events": [], "cursor": answer["cursor"], "more": False}

    ana.send("after", to=ben)
    assert bodies(ben.events(answer["cursor"])) == ["after"]


def test_from_the_beginning_a_poll_has_all_that_is_kept_for_the_user(ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("one", to=ben)
    cleo.send("not for ben", to=ana)
    ana.send("two", to=ben)

    told = ben.events("begin")
    assert [e["type"] for e in told] == ["conversation.created", "message.created", "message.created"]
    assert bodies(told) == ["one", "two"]


def test_an_event_has_a_cursor_a_type_a_time_and_data(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)

    told = ben.events("begin")[-1]
    assert told == {"id": told["id"], "type": "message.created", "at": sent["created_at"], "data": sent}
    assert isinstance(told["id"], str)


def test_every_events_id_is_a_cursor(ana: Client, ben: Client) -> None:
    for n in range(4):
        ana.send(str(n), to=ben)

    told = ben.events("begin")
    for n, one in enumerate(told):
        assert ben.events(one["id"]) == told[n + 1 :]


def test_what_is_there_is_answered_at_once_however_long_the_timeout(ana: Client, ben: Client) -> None:
    cursor = ben.now()
    ana.send("there", to=ben)

    assert bodies(ben.poll(cursor, timeout=60)["events"]) == ["there"]


def test_an_open_poll_is_answered_by_what_comes(gateway: Gateway, ana: Client, ben: Client) -> None:
    place = ana.send("first", to=ben)["conversation"]
    cursor = ben.now()
    poll = ben.polling(cursor, timeout=60)
    gateway.waiting(1)

    sent = ana.send("second", at=place)
    answer = poll.result().json()
    assert [e["data"] for e in answer["events"] if e["id"] is not None] == [sent]
    assert ben.poll(answer["cursor"])["events"] == []
    assert ben.poll(cursor)["cursor"] == answer["cursor"]


def test_nothing_else_is_kept_for_a_client_so_devices_poll_on_their_own(ana: Client, ben: Client) -> None:
    cursor = ben.now()
    ana.send("hi", to=ben)

    assert ben.events(cursor) == ben.events(cursor) == ben.events(cursor)


def test_a_poll_of_no_time_answers_empty_and_moves_the_cursor(ana: Client, ben: Client, cleo: Client) -> None:
    cursor = ben.now()
    ana.send("not for ben", to=cleo)

    answer = ben.poll(cursor, timeout=0)
    assert answer["events"] == []
    assert answer["more"] is False
    assert answer["cursor"] == cleo.poll(cursor)["cursor"] != cursor


def test_an_open_poll_that_ends_empty_has_moved_past_what_was_not_for_it(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    cursor = ben.now()
    poll = ben.polling(cursor, timeout=0.5)
    ana.send("not for ben", to=cleo)

    assert poll.result().json()["cursor"] == cleo.now()


@pytest.mark.parametrize("timeout", ["-1", "60.5", "x", "nan", "inf", "1e9"])
def test_a_timeout_is_from_0_to_60_seconds(ana: Client, timeout: str) -> None:
    assert fields(ana.get("/events", cursor=ana.now(), timeout=timeout)) == ["timeout"]


def test_without_a_timeout_the_settings_counts(make_gateway: Callable[..., Gateway]) -> None:
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
def test_what_is_no_cursor_is_named(ana: Client, cursor: str) -> None:
    assert fields(ana.get("/events", cursor=cursor)) == ["cursor"]
    assert fields(ana.get("/events/stream", cursor=cursor)) == ["cursor"]
    assert fields(ana.get("/events/ws", cursor=cursor)) == ["cursor"]


def epoch(cursor: str) -> tuple[str, int]:
    name, _, number = cursor.rpartition("-")
    return name, int(number)


def test_a_cursor_of_another_epoch_or_past_the_head_is_410_with_the_cursor_of_now(ana: Client, ben: Client) -> None:
    ana.send("hi", to=ben)
    now = ben.now()
    name, head = epoch(now)

    for cursor in (f"00000000-{head}", f"{name}-{head + 1}", f"{name}-{10**15}"):
        assert problem(ben.get("/events", cursor=cursor, timeout=0), 410, "cursor-expired")["cursor"] == now
    assert ben.poll(now)["events"] == []


def test_a_cursor_that_is_older_than_what_is_kept_is_410(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    old = ben.now()
    ana.send("one", to=ben)
    ana.send("two", to=ben)
    kept = ben.events(old)[-1]
    gateway.execute("DELETE FROM events WHERE id<?", epoch(kept["id"])[1])
    gateway.execute("UPDATE facts SET value=? WHERE name='trimmed'", str(epoch(kept["id"])[1] - 1))
    gateway.restart()

    now = ben.now()
    assert problem(ben.get("/events", cursor=old, timeout=0), 410, "cursor-expired")["cursor"] == now
    assert ben.events("begin") == [kept]
    name, place = epoch(kept["id"])
    assert ben.events(f"{name}-{place - 1}") == [kept]


def test_a_cursor_is_good_after_a_restart_and_nothing_is_lost_or_doubled(make_gateway: Callable[..., Gateway]) -> None:
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


def test_only_the_types_asked_for_come_and_the_cursor_moves_past_the_others(ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    cursor = ben.now()
    ben.put(f"/messages/{sent['id']}/reactions/x")
    ana.send("there", to=ben)
    ana.patch(f"/messages/{sent['id']}", {"body": "hey"})

    assert ben.kinds(cursor, types="message.reacted,message.updated") == ["message.reacted", "message.updated"]
    answer = ben.poll(cursor, types="member.joined")
    assert answer["events"] == []
    assert answer["cursor"] == ben.now()


def test_a_filtered_poll_is_not_ended_by_other_types(gateway: Gateway, ana: Client, ben: Client) -> None:
    sent = ana.send("hi", to=ben)
    poll = ben.polling(ben.now(), timeout=60, types="message.deleted")
    gateway.waiting(1)

    ana.patch(f"/messages/{sent['id']}", {"body": "hey"})
    ana.delete(f"/messages/{sent['id']}")
    answer = poll.result().json()
    assert [e["type"] for e in answer["events"]] == ["message.deleted"]


def test_more_than_two_hundred_events_come_in_several_answers_without_a_gap(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    cursor = ben.now()
    sent = [f.result()["body"] for f in [gateway.later(ana.send, str(n), to=ben) for n in range(230)]]

    for _ in range(2):
        first = ben.poll(cursor)
        assert (len(first["events"]), first["more"]) == (200, True)
        rest = ben.poll(first["cursor"], timeout=60)
        assert rest["more"] is False
        told = first["events"] + rest["events"]
        assert sorted(bodies(told)) == sorted(sent)
        assert [epoch(e["id"]) for e in told] == sorted(epoch(e["id"]) for e in told)
        assert ben.poll(cursor, types="message.created")["more"] is True
        gateway.restart()


def test_a_joiner_sees_what_came_after_joining_alone(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    ana.send("before", at=group)
    cleo.poll("begin")
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ana.send("after", at=group)

    told = cleo.events("begin")
    assert [e["type"] for e in told] == ["conversation.created", "member.joined", "message.created"]
    assert told[0]["data"]["id"] == group
    assert told[1]["data"] == {"conversation": group, "user": cleo.get(f"/users/{cleo.id}").json()}
    assert bodies(told) == ["after"]


def test_a_leaver_sees_one_member_left_and_nothing_after(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    cursor = cleo.now()
    ana.send("before", at=group)
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    ana.send("after", at=group)

    told = cleo.events(cursor)
    assert [e["type"] for e in told] == ["message.created", "member.left"]
    assert told[1]["data"] == {"conversation": group, "user": cleo.get(f"/users/{cleo.id}").json()}
    assert ben.kinds(cursor) == ["message.created", "member.left", "message.created"]


def test_who_left_and_came_back_misses_what_was_between(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    cursor = cleo.now()
    path = f"/conversations/{group}/members/{cleo.id}"
    for n in range(2):
        ana.send(f"in {n}", at=group)
        ana.delete(path)
        ana.send(f"out {n}", at=group)
        ana.put(path)

    assert bodies(cleo.events(cursor)) == ["in 0", "in 1"]


def test_what_a_member_may_see_is_the_same_from_memory_and_from_the_store(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben, cleo = gateway.users(3)
    group = ana.group(ben)
    ana.send("before", at=group)
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ana.send("in", at=group)
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    ana.send("out", at=group)
    remembered = [u.events("begin") for u in (ana, ben, cleo)]
    gateway.restart()

    assert [u.events("begin") for u in (ana, ben, cleo)] == remembered
    assert [e["type"] for e in remembered[2]] == ["conversation.created", "member.joined", "message.created", "member.left"]


def test_an_open_poll_hears_of_joining_and_then_of_the_conversation(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    group = ana.group(ben)
    cursor = cleo.now()
    poll = cleo.polling(cursor, timeout=60)
    gateway.waiting(1)

    ana.put(f"/conversations/{group}/members/{cleo.id}")
    first = [e for e in poll.result().json()["events"] if e["id"] is not None]
    assert first[0]["type"] == "conversation.created"
    assert cleo.kinds(cursor) == ["conversation.created", "member.joined"]


def test_the_21st_poll_of_a_user_answers_the_oldest_empty(gateway: Gateway, ana: Client, ben: Client) -> None:
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


def test_presence_alone_ends_no_poll_and_comes_with_the_next_answer(gateway: Gateway, ana: Client, ben: Client) -> None:
    place = ana.send("hi", to=ben)["conversation"]
    poll = ben.polling(ben.now(), timeout=60)
    gateway.waiting(1)

    ana.poll(ana.now())  # makes ana known, and online
    with stream(ana) as opened:
        next(opened.blocks())
        until_online(gateway, ana)
        assert not poll.done()
        ana.send("and now", at=place)
    events = poll.result().json()["events"]
    assert bodies(events) == ["and now"]
    presence = [e for e in events if e["type"] == "presence"]
    assert [(e["id"], e["data"]) for e in presence] == [(None, {"user": ana.id, "online": True})]


def until_online(gateway: Gateway, user: Client) -> None:
    until(lambda: gateway.rows("SELECT 1 FROM online WHERE user_id=?", user.id))


def test_presence_is_for_who_shares_a_conversation(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    ana.send("hi", to=ben)
    cleo.poll("begin")
    poll = cleo.polling(cleo.now(), timeout=0.3)
    ana.poll(ana.now())

    assert poll.result().json()["events"] == []
    assert str(ana.id) not in cleo.get("/state").json()["presence"]


def test_a_state_is_where_a_client_starts(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
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


def test_a_state_and_the_log_after_it_fit_without_gap_or_overlap_while_others_write(
    gateway: Gateway, ana: Client, ben: Client
) -> None:
    place = ana.send("0", to=ben)["conversation"]
    writing = [gateway.later(ana.send, str(n), at=place) for n in range(60)]
    states = [ben.get("/state").json() for _ in range(10)]
    for one in writing:
        one.result()
    everything = [e["data"]["id"] for e in ben.events("begin") if e["type"] == "message.created"]

    for state in states:
        last = state["conversations"][0]["last_message"]["id"]
        after = [e["data"]["id"] for e in ben.events(state["cursor"])]
        assert after == everything[everything.index(last) + 1 :]


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
def test_each_transport_tells_the_same_events_in_the_same_order(
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

    told = read(ben, cursor, 9)
    assert told == ben.events("begin")
    assert [e["type"] for e in told] == [
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


def test_a_second_gateway_on_the_store_tells_the_same_to_the_same_cursors(
    gateway: Gateway, make_gateway: Callable[..., Gateway], ana: Client, ben: Client
) -> None:
    second = make_gateway(beside=gateway)
    elsewhere = ben.at(second)
    place = ana.send("hi", to=ben)["conversation"]
    cursor = ben.now()
    poll = elsewhere.polling(cursor, timeout=60)
    second.waiting(1)

    ana.send("from the first", at=place)
    assert bodies(poll.result().json()["events"]) == ["from the first"]
    writing = [gateway.later(ana.at(gateway if n % 2 else second).send, str(n), at=place) for n in range(40)]
    sent = {f.result()["id"] for f in writing}
    until(lambda: len(ben.events(cursor)) == len(elsewhere.events(cursor)) == 41)
    here = ben.events(cursor)
    assert elsewhere.events(cursor) == here
    assert {e["data"]["id"] for e in here[1:]} == sent
    assert [e["data"]["id"] for e in here] == sorted(e["data"]["id"] for e in here)


def test_a_token_that_dies_on_one_gateway_dies_on_all(gateway: Gateway, make_gateway: Callable[..., Gateway], ana: Client) -> None:
    second = make_gateway(beside=gateway)
    elsewhere = ana.at(second)
    poll = elsewhere.polling(ana.now(), timeout=60)
    second.waiting(1)

    ana.post("/logout")
    problem(poll.result(), 401, "unauthorized")
    problem(elsewhere.get("/me"), 401, "unauthorized")
    problem(elsewhere.post("/messages", {"to": 1, "body": "x"}), 401, "unauthorized")


def test_a_token_revoked_behind_the_gateways_back_ends_its_polls_and_no_other_tokens(gateway: Gateway, ana: Client) -> None:
    with gateway.store(), event.transaction() as tx:
        other = ana.with_token(token.create(tx, ana.id))
    number = gateway.rows("SELECT max(id) FROM tokens")[0][0]
    cursor = ana.now()
    dying, living = other.polling(cursor, timeout=60), ana.polling(cursor, timeout=60)
    gateway.waiting(2)

    with gateway.store(), event.transaction() as tx:
        token.revoke(tx, ana.id, [number])
    problem(dying.result(), 401, "unauthorized")
    assert not living.done()
    with gateway.store(), event.transaction() as tx:
        user.change(tx, ana.id, status="suspended")
    problem(living.result(), 401, "unauthorized")
