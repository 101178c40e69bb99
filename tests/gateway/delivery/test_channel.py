"""Gateways with a local channel and without Redis share typing, presence, hints and limits; without it each goes on alone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from commands.channel import ChannelBroker
from gateway.delivery.listeners import ChannelListener
from jobs.infra import channel
from jobs.infra.channel import ChannelConnection, HintSender
from metrics.declared import CHANNEL_LOST_TOTAL
from tests.channel_broker import running_broker
from tests.gateway.client import problem
from tests.gateway.running import Gateway
from tests.gateway.transports import sees_come_online
from tests.stores import Database
from tests.waiting import until, until_async

Pair = tuple[Gateway, Gateway]
LIMIT = 30
SETTINGS = {"RATE_LIMITS": "on", "LIMIT_SEND": f"{LIMIT}/hour", "LIMIT_API": "1000/second", "LIMIT_TYPING": "1000/second"}


@pytest.fixture(scope="module")
def pairs_broker(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[ChannelBroker]:
    with running_broker(tmp_path_factory.mktemp("channel") / "channel.sock") as broker:
        yield broker


@pytest.fixture(scope="module")
def pair(make_gateway: Callable[..., Gateway], pairs_broker: ChannelBroker) -> Pair:
    first = make_gateway(CHANNEL=str(pairs_broker.path), **SETTINGS)
    second = make_gateway(beside=first, CHANNEL=str(pairs_broker.path), **SETTINGS)
    until(lambda: len(pairs_broker._joined) == 2)
    return first, second


def degraded(gateway: Gateway) -> list[str]:
    return sorted({"bus", "limits", "not ready"} & set(gateway.http.get("/readyz").json().get("degraded", ["not ready"])))


def test_typing_and_presence_reach_the_users_of_the_other_gateway(pair: Pair) -> None:
    first, second = pair
    ana, ben = first.users(2)
    conversation = ana.send("hi", to=ben)["conversation"]
    ben_on_second = ben.at(second)
    poll = ben_on_second.polling(ben_on_second.now(), types="typing")
    second.waiting(1)
    assert ana.post(f"/conversations/{conversation}/typing", {"typing": True}).status_code == 204
    assert [event["type"] for event in poll.result().json()["events"]] == ["typing"]

    sees_come_online(ben_on_second, ana, conversation)


def test_limits_are_counted_over_both_gateways_and_survive_the_restart_of_one(pair: Pair) -> None:
    first, second = pair
    ana, ben = first.users(2)

    def sent(gateway: Gateway) -> bool:
        answer = ana.at(gateway).post("/messages", {"to": ben.id, "body": "hi"})
        if answer.status_code == 429:
            problem(answer, 429, "rate-limited")
        return answer.status_code == 201

    def sent_until_refused(*gateways: Gateway) -> int:
        count = 0
        while sum(sent(gateway) for gateway in gateways):
            count += 1
        return count

    assert LIMIT / 2 <= sent_until_refused(first, second) < LIMIT  # each: what one announces is on its way for a moment
    until(lambda: not sent(first) and not sent(second))
    second.restart()
    assert sent_until_refused(second) < LIMIT
    assert ben.at(second).post("/messages", {"to": ana.id, "body": "hi"}).status_code == 201


def test_without_the_channel_the_gateways_are_degraded_and_deliver_all_the_same(pair: Pair, pairs_broker: ChannelBroker) -> None:
    first, second = pair
    ana, ben = first.users(2)
    until(lambda: degraded(first) == degraded(second) == [])
    pairs_broker.stop()
    until(lambda: degraded(first) == degraded(second) == ["bus", "limits"])
    ben_on_second = ben.at(second)
    poll = ben_on_second.polling(ben_on_second.now(), types="message.created")
    second.waiting(1)
    ana.send("meanwhile", to=ben)
    assert [event["data"]["body"] for event in poll.result().json()["events"]] == ["meanwhile"]
    with running_broker(pairs_broker.path):
        until(lambda: degraded(first) == degraded(second) == [])


# One listener


@pytest.fixture
def listening(broker: ChannelBroker) -> Iterator[tuple[ChannelListener, ChannelBroker, threading.Semaphore]]:
    """A listener that is connected, and counts the reads of the log. The log's head here is 100."""
    reads = threading.Semaphore(0)
    listener = ChannelListener(str(broker.path), reads.release, lambda: 100)
    listener.start()
    assert reads.acquire(timeout=60)  # at first, hints were missed
    until(lambda: broker._joined)
    yield listener, broker, reads
    listener.stop()
    listener._thread.join()


Listening = tuple[ChannelListener, ChannelBroker, threading.Semaphore]


@pytest.mark.only("sqlite")
def test_a_hint_of_a_gateway_or_a_worker_makes_the_tail_read_the_log(listening: Listening) -> None:
    listener, broker, reads = listening
    received: list[bytes] = []
    listener.handlers[b"t"] = lambda _, content: received.append(content)
    gateway, worker = ChannelConnection(str(broker.path)), HintSender(str(broker.path))
    gateway.send(channel.TO_ALL, channel.HINT + b"101")
    assert reads.acquire(timeout=60)
    worker.hint(102)
    assert reads.acquire(timeout=60)
    for garbage in (b"", b"h", b"hx", b"h-5", b"h100", b"h99", b"?1"):
        gateway.send(channel.TO_ALL, garbage)
    gateway.send(channel.TO_ALL, b"tend")
    until(lambda: received == [b"end"])
    assert not reads.acquire(blocking=False)  # nothing is newer than the head
    gateway.close()


@pytest.mark.only("sqlite")
def test_a_listener_that_missed_messages_counts_them_and_reads_the_log(listening: Listening) -> None:
    listener, broker, reads = listening
    before = CHANNEL_LOST_TOTAL.labels("received")._value.get()
    gaps: list[int] = []
    listener.gap_handlers.append(lambda: gaps.append(1))
    (member,) = broker._joined.values()
    assert broker._loop is not None
    broker._loop.call_soon_threadsafe(member.deliver, channel.LOST, b"3")
    assert reads.acquire(timeout=60)
    until(lambda: gaps == [1])
    assert CHANNEL_LOST_TOTAL.labels("received")._value.get() == before + 3


@pytest.mark.only("sqlite")
def test_a_listener_whose_loop_hangs_does_not_read_on(listening: Listening) -> None:
    listener, broker, _ = listening
    (member,) = broker._joined.values()
    received: list[bytes] = []
    listener.handlers[b"t"] = lambda _, content: received.append(content)

    async def hang() -> None:
        listener.loop = asyncio.get_running_loop()
        with closing(ChannelConnection(str(broker.path))) as gateway:

            def drops() -> bool:
                gateway.send(channel.TO_ALL, b"t" + b"x" * 100_000)
                return member._dropped > 0

            until(drops)
        await until_async(lambda: not member._is_full)
        with closing(ChannelConnection(str(broker.path))) as gateway:
            gateway.send(channel.TO_ALL, b"tend")
            await until_async(lambda: received[-1] == b"end")

    asyncio.run(hang())
    listener.loop = None


@pytest.mark.only("sqlite")
def test_a_handler_that_fails_stops_no_other_message(listening: Listening) -> None:
    listener, broker, _ = listening
    received: list[bytes] = []

    def handle(_sender: int, content: bytes) -> None:
        if content == b"bad":
            raise ValueError("a defect")
        received.append(content)

    listener.handlers[b"t"] = handle
    gateway = ChannelConnection(str(broker.path))
    for content in (b"1", b"bad", b"2"):
        gateway.send(channel.TO_ALL, b"t" + content)
    until(lambda: received == [b"1", b"2"])
    assert not listener.down
    gateway.close()


@pytest.mark.only("sqlite")
def test_a_message_that_is_too_long_or_without_a_connection_is_not_sent(listening: Listening, tmp_path: Path) -> None:
    listener, _, _ = listening
    assert listener.send(b"t", b"x")
    assert not listener.send(b"t", b"x" * channel.MAX_BODY_BYTES)
    assert listener.send(b"t", b"x")
    assert not ChannelListener(str(tmp_path / "none"), lambda: None, lambda: 0).send(b"t", b"x")


@pytest.mark.only("sqlite")
def test_a_worker_sends_hints_again_when_the_channel_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(channel, "MAX_RETRY_S", 0.01)
    path = tmp_path / "channel.sock"
    worker = HintSender(str(path))
    worker.hint(1)
    with running_broker(path) as broker, closing(ChannelConnection(str(path))) as gateway:
        gateway.send(channel.JOIN, b"")
        until(lambda: broker._joined)

        def hinted() -> bool:
            worker.hint(2)
            return any(frame.body == b"h2" for frame in gateway.receive(0.05))

        until(hinted)
