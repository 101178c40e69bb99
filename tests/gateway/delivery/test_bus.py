"""With Redis: gateways hear of each other at once, share limits, and go on without it whatever becomes of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway, until
from tests.gateway.transports import stream
from tests.redis_server import RedisServer
from tests.stores import Database

Make = Callable[..., Gateway]


@pytest.fixture
def make(tmp_path: Path, database: Database, redis_server: RedisServer) -> Iterator[Make]:
    """Gateways that share a store and a Redis; on PostgreSQL each has a data folder of its own, as on hosts of their own."""
    made: list[Gateway] = []
    with database.fresh() as place:

        def begin(command: str = "gateway", **settings: str) -> Gateway:
            folder = tmp_path / (str(len(made)) if place else "one")
            folder.mkdir(exist_ok=True)
            made.append(Gateway(folder, place, command, **{"REDIS_URL": redis_server.url, **settings}))
            return made[-1].start()

        yield begin
        for gateway in made:
            gateway.close()


def degraded(gateway: Gateway) -> list[str]:
    answer = gateway.http.get("/readyz")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["degraded"])


def told(client: Client) -> int:
    """How many messages the user was notified of."""
    return sum(notification["count"] for notification in client.get("/notifications").json()["items"])


def typing_told(polls: Future[httpx.Response]) -> list[tuple[str, bool]]:
    return [(event["type"], event["data"]["typing"]) for event in polls.result().json()["events"]]


def test_typing_and_presence_are_told_on_every_gateway(make: Make) -> None:
    first, second = make(), make()
    ana, ben = first.users(2)
    place = ana.send("hi", to=ben)["conversation"]
    elsewhere = ben.at(second)
    hears = elsewhere.polling(elsewhere.now(), types="typing")
    second.waiting(1)

    assert ana.post(f"/conversations/{place}/typing", {"typing": True}).status_code == 204
    assert typing_told(hears) == [("typing", True)]

    with stream(elsewhere, types="presence,typing") as opened:
        second.waiting(1, "sse")
        poll = ana.polling(ana.now())  # Ana comes online on the first gateway
        blocks, told = opened.blocks(), []
        while ("presence", True) not in told:
            ana.post(f"/conversations/{place}/typing", {"typing": True})  # presence alone wakes no reader
            event = next(blocks)
            told += [(event["type"], event["data"].get("online"))] if event is not None else []
    ben.send("bye", at=place)
    poll.result()


@pytest.mark.only("postgresql")
def test_who_is_online_on_another_gateway_still_is_not_told_of_as_gone(make: Make) -> None:
    first, second = make(), make()
    ana, ben = first.users(2)
    ana.send("hi", to=ben)
    for gateway in (first, second):
        poll = ana.at(gateway).polling(ana.now())
        gateway.waiting(1)
        until(lambda: first.rows("SELECT count(*) FROM online WHERE user_id=?", ana.id)[0][0] > 0)
        ben.send("again", to=ana)
        poll.result()
    until(lambda: first.rows("SELECT count(*) FROM online WHERE user_id=?", ana.id) == [(2,)])
    assert ben.get("/state").json()["presence"] == {str(ana.id): True}
    first.terminate()
    assert first.process is not None
    first.process.wait(10)
    assert ben.at(second).get("/state").json()["presence"] == {str(ana.id): True}


@pytest.mark.only("postgresql")
def test_limits_are_counted_over_all_gateways(make: Make) -> None:
    settings = {"RATE_LIMITS": "on", "LIMIT_SEND": "3/minute"}
    first, second = make(**settings), make(**settings)
    ana, ben = first.users(2)
    for gateway in (first, second, first):
        ana.at(gateway).send("hi", to=ben)
    for gateway in (first, second):
        answer = ana.at(gateway).post("/messages", {"to": ben.id, "body": "one too many"})
        problem(answer, 429, "rate-limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("outage", ["kill", "hang"])
def test_an_outage_of_redis_slows_nothing_down_and_loses_nothing(make: Make, redis_server: RedisServer, outage: str) -> None:
    settings = {"RATE_LIMITS": "on", "LIMIT_SEND": "1000/second", "LIMIT_API": "1000/second"}
    first, second = make("serve", **settings), make(**settings)
    ana, ben, away = first.users(3)
    elsewhere = ben.at(second)
    crew = ana.group(ben, away)
    ana.send("before", at=crew)
    until(lambda: told(away) == 1)
    until(lambda: degraded(first) == degraded(second) == [])  # on a busy machine one may have missed an answer of Redis just now

    getattr(redis_server, outage)()
    poll = elsewhere.polling(elsewhere.now(), types="message.created")
    second.waiting(1)
    ana.send("meanwhile", at=crew)
    assert [event["data"]["body"] for event in poll.result(10).json()["events"]] == ["meanwhile"]
    until(lambda: {"queue", "bus"} <= set(degraded(first)))
    until(lambda: {"bus", "limits"} <= set(degraded(second)))
    until(lambda: told(away) == 2)
    until(lambda: first.metric("bellwire_queue_fallback_total") + second.metric("bellwire_queue_fallback_total") > 0)

    redis_server.go_on() if outage == "hang" else redis_server.start()
    until(lambda: degraded(first) == degraded(second) == [])
    ana.send("after", at=crew)
    until(lambda: told(away) == 3)
    assert [e["data"]["body"] for e in elsewhere.events("begin", types="message.created")] == ["before", "meanwhile", "after"]


def test_a_flushed_redis_is_as_good_as_a_full_one(make: Make, redis_server: RedisServer) -> None:
    gateway = make("serve")
    ana, ben = gateway.users(2)
    for number in range(1, 4):
        with redis_server.client() as client:
            client.flushall()
        ana.send("hi", to=ben)
        until(lambda number=number: told(ben) == number)
    assert degraded(gateway) == []


@pytest.mark.only("postgresql")
def test_a_token_dies_everywhere_also_while_redis_is_down(make: Make, redis_server: RedisServer) -> None:
    first, second = make(), make()
    ana = first.user()
    assert ana.at(second).get("/me").status_code == 200
    redis_server.kill()
    poll = ana.at(second).polling(ana.now())
    second.waiting(1)
    ana.post("/logout")
    problem(poll.result(10), 401, "unauthorized")
    problem(ana.at(second).get("/me"), 401, "unauthorized")


@pytest.mark.only("postgresql")
def test_a_role_that_is_taken_is_taken_everywhere(make: Make) -> None:
    first, second = make(), make()
    root, ana = first.user("admin"), first.user("admin")
    assert ana.at(second).get("/admin/users").status_code == 200
    assert root.patch(f"/admin/users/{ana.id}", {"role": "user"}).status_code == 200
    until(lambda: ana.at(second).get("/admin/users").status_code == 403)


def test_the_build_info_tells_of_queue_and_bus(make: Make) -> None:
    gateway = make()
    (labels,) = [labels for labels, _ in gateway.samples("bellwire_build_info")]
    assert (labels["database"], labels["queue"], labels["bus"]) == (gateway.kind, "redis", "redis")


@pytest.mark.only("postgresql")
def test_two_installations_on_one_redis_hear_nothing_of_each_other(make: Make, redis_server: RedisServer, tmp_path: Path) -> None:
    gateway = make()
    ana, ben = gateway.users(2)
    place = ana.send("hi", to=ben)["conversation"]
    other = Gateway(tmp_path / "other", {}, REDIS_URL=redis_server.url) if (tmp_path / "other").mkdir() is None else None
    assert other is not None
    try:
        other.start()
        cy, dee = other.users(2)
        assert (cy.id, dee.id) == (ana.id, ben.id)
        cy.send("ho", to=dee)
        hears = dee.polling(dee.now(), timeout=60, types="typing")
        other.waiting(1)
        assert ana.post(f"/conversations/{place}/typing", {"typing": True}).status_code == 204
        assert cy.post(f"/conversations/{place}/typing", {"typing": False}).status_code == 204
        assert typing_told(hears) == [("typing", False)]
    finally:
        other.close()


@pytest.mark.only("postgresql")
def test_a_client_of_the_hint_channel_sees_ids_alone(make: Make, redis_server: RedisServer) -> None:
    gateway = make()
    ana, ben = gateway.users(2)
    with redis_server.client() as client, client.pubsub() as channel:
        channel.psubscribe("*")
        ana.send("a secret", to=ben)
        heard = []
        while not any(said["type"] == "pmessage" for said in heard):
            heard += [said] if (said := channel.get_message(timeout=10)) else []
        assert all(said["data"].isdigit() for said in heard if said["type"] == "pmessage")
