"""With Redis, gateways notify each other at once and share limits. Without it, or during its outages, they go on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import sees_come_online
from tests.redis_server import RedisServer
from tests.stores import Database
from tests.waiting import LIMIT_S, until

Make = Callable[..., Gateway]


@pytest.fixture
def make(tmp_path: Path, database: Database, redis_server: RedisServer) -> Iterator[Make]:
    """Start gateways that share a store and a Redis. On PostgreSQL each has its own data folder, as on separate hosts."""
    gateways: list[Gateway] = []
    with database.fresh() as options:

        def start(command: str = "gateway", **settings: str) -> Gateway:
            folder = tmp_path / (str(len(gateways)) if options else "one")
            folder.mkdir(exist_ok=True)
            gateways.append(Gateway(folder, options, command, **{"REDIS_URL": redis_server.url, **settings}))
            return gateways[-1].start()

        yield start
        for gateway in gateways:
            gateway.close()


def degraded(gateway: Gateway) -> list[str]:
    answer = gateway.http.get("/readyz")
    assert answer.status_code == 200, answer.text
    return list(answer.json().get("degraded", ["not ready"]))


def notified(client: Client) -> int:
    """Return how many messages the user was notified of."""
    return sum(notification["count"] for notification in client.get("/notifications").json()["items"])


def typing_events(polls: Future[httpx.Response]) -> list[tuple[str, bool]]:
    return [(event["type"], event["data"]["typing"]) for event in polls.result().json()["events"]]


def test_typing_and_presence_reach_the_users_of_every_gateway(make: Make) -> None:
    first, second = make(), make()
    ana, ben = first.users(2)
    conversation = ana.send("hi", to=ben)["conversation"]
    ben_on_second = ben.at(second)
    poll = ben_on_second.polling(ben_on_second.now(), types="typing")
    second.waiting(1)

    assert ana.post(f"/conversations/{conversation}/typing", {"typing": True}).status_code == 204
    assert typing_events(poll) == [("typing", True)]

    sees_come_online(ben_on_second, ana, conversation)


@pytest.mark.only("postgresql")
def test_a_user_who_is_online_on_another_gateway_stays_online(make: Make) -> None:
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
    first.process.wait(LIMIT_S)
    assert ben.at(second).get("/state").json()["presence"] == {str(ana.id): True}


@pytest.mark.only("postgresql")
def test_limits_are_counted_over_all_gateways(make: Make) -> None:
    settings = {"RATE_LIMITS": "on", "LIMIT_SEND": "3/minute"}
    first, second = make(**settings), make(**settings)

    def late() -> float:
        """How often Redis answered too late, as it may on a busy machine: a gateway counts such a request by itself."""
        return sum(gateway.metric("bellwire_failures_total", what="shared_rate_limits") for gateway in (first, second))

    def counted_together() -> bool:
        ana, ben = first.users(2)
        until(lambda: "limits" not in degraded(first) + degraded(second))
        before = late()
        users = [ana.at(gateway) for gateway in (first, second, first, first, second)]
        answers = [user.post("/messages", {"to": ben.id, "body": "hi"}) for user in users]
        if late() != before:
            return False
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]
        for answer in answers[3:]:
            problem(answer, 429, "rate-limited")
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        return True

    until(counted_together)


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("outage", ["kill", "hang"])
def test_an_outage_of_redis_slows_nothing_down_and_loses_nothing(make: Make, redis_server: RedisServer, outage: str) -> None:
    settings = {"RATE_LIMITS": "on", "LIMIT_SEND": "1000/second", "LIMIT_API": "1000/second"}
    first, second = make("serve", **settings), make(**settings)
    ana, ben, away = first.users(3)
    ben_on_second = ben.at(second)
    crew = ana.group(ben, away)
    ana.send("before", at=crew)
    until(lambda: notified(away) == 1)
    until(lambda: degraded(first) == degraded(second) == [])  # on a busy machine an answer of Redis may have been late

    getattr(redis_server, outage)()
    poll = ben_on_second.polling(ben_on_second.now(), types="message.created")
    second.waiting(1)
    ana.send("meanwhile", at=crew)
    assert [event["data"]["body"] for event in poll.result(LIMIT_S).json()["events"]] == ["meanwhile"]
    until(lambda: {"queue", "bus"} <= set(degraded(first)))
    until(lambda: {"bus", "limits"} <= set(degraded(second)))
    until(lambda: notified(away) == 2)
    until(lambda: first.metric("bellwire_queue_fallback_total") + second.metric("bellwire_queue_fallback_total") > 0)

    redis_server.go_on() if outage == "hang" else redis_server.start()
    until(lambda: degraded(first) == degraded(second) == [])
    ana.send("after", at=crew)
    until(lambda: notified(away) == 3)
    assert [e["data"]["body"] for e in ben_on_second.events("begin", types="message.created")] == ["before", "meanwhile", "after"]


def test_flushing_redis_loses_nothing(make: Make, redis_server: RedisServer) -> None:
    gateway = make("serve")
    ana, ben = gateway.users(2)
    for number in range(1, 4):
        with redis_server.client() as client:
            client.flushall()
        ana.send("hi", to=ben)
        until(lambda number=number: notified(ben) == number)
    until(lambda: degraded(gateway) == [])


@pytest.mark.only("postgresql")
def test_a_token_is_revoked_on_every_gateway_also_while_redis_is_down(make: Make, redis_server: RedisServer) -> None:
    first, second = make(), make()
    ana = first.user()
    assert ana.at(second).get("/me").status_code == 200
    redis_server.kill()
    poll = ana.at(second).polling(ana.now())
    second.waiting(1)
    ana.post("/logout")
    problem(poll.result(LIMIT_S), 401, "unauthorized")
    problem(ana.at(second).get("/me"), 401, "unauthorized")


@pytest.mark.only("postgresql")
def test_a_role_that_is_withdrawn_is_withdrawn_on_every_gateway(make: Make) -> None:
    first, second = make(), make()
    root, ana = first.user("admin"), first.user("admin")
    assert ana.at(second).get("/admin/users").status_code == 200
    assert root.patch(f"/admin/users/{ana.id}", {"role": "user"}).status_code == 200
    until(lambda: ana.at(second).get("/admin/users").status_code == 403)


def test_the_build_info_names_queue_and_bus(make: Make) -> None:
    gateway = make()
    (labels,) = [labels for labels, _ in gateway.samples("bellwire_build_info")]
    assert (labels["database"], labels["queue"], labels["bus"]) == (gateway.kind, "redis", "redis")


@pytest.mark.only("postgresql")
def test_two_installations_on_one_redis_exchange_nothing(make: Make, redis_server: RedisServer, tmp_path: Path) -> None:
    gateway = make()
    ana, ben = gateway.users(2)
    conversation = ana.send("hi", to=ben)["conversation"]
    other = Gateway(tmp_path / "other", {}, REDIS_URL=redis_server.url) if (tmp_path / "other").mkdir() is None else None
    assert other is not None
    try:
        other.start()
        cy, dee = other.users(2)
        assert (cy.id, dee.id) == (ana.id, ben.id)
        cy.send("ho", to=dee)
        poll = dee.polling(dee.now(), timeout=60, types="typing")
        other.waiting(1)
        assert ana.post(f"/conversations/{conversation}/typing", {"typing": True}).status_code == 204
        assert cy.post(f"/conversations/{conversation}/typing", {"typing": False}).status_code == 204
        assert typing_events(poll) == [("typing", False)]
    finally:
        other.close()


@pytest.mark.only("postgresql")
def test_the_hint_channel_carries_only_ids(make: Make, redis_server: RedisServer) -> None:
    gateway = make()
    ana, ben = gateway.users(2)
    with redis_server.client() as client, client.pubsub() as channel:
        channel.psubscribe("*")
        ana.send("a secret", to=ben)
        received = []
        while not any(notice["type"] == "pmessage" for notice in received):
            received += [notice] if (notice := channel.get_message(timeout=10)) else []
        assert all(notice["data"].isdigit() for notice in received if notice["type"] == "pmessage")
