"""Gateways that share limits count each other's requests, also what a gateway counted before it was replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from commands.channel import ChannelBroker
from conf import Settings
from gateway.delivery.listeners import ChannelListener
from gateway.http import limit_sharing
from gateway.http.errors import ProblemError
from gateway.http.limit_counters import Amount, Hit, MemoryCounters
from gateway.http.limit_sharing import Counts
from gateway.http.rate_limits import RateLimits
from jobs.infra import channel
from tests.waiting import until_async

LIMITS = {"limit_send": "100/hour", "limit_login": "5/hour", "limit_bytes": "1000/day", "limit_events": "1000/day"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ChannelBroker]:
    broker = ChannelBroker(tmp_path / "channel.sock")
    broker.start()
    yield broker
    broker.stop()


@asynccontextmanager
async def gateway(broker: ChannelBroker) -> AsyncIterator[RateLimits]:
    """The limits of one gateway, once it is connected."""
    limits = RateLimits(Settings(_env_file=None, **LIMITS))  # type: ignore[call-arg, arg-type]
    listener = ChannelListener(str(broker.path), lambda: None, lambda: 0)
    limits.share(listener)
    before = len(broker._joined)
    listener.start()
    await until_async(lambda: len(broker._joined) > before)
    yield limits
    limits.stop()
    listener.stop()
    await asyncio.to_thread(listener._thread.join)


def count(limits: RateLimits, name: str, caller: str) -> int:
    """What this gateway knows to be counted."""
    counters = limits._users if caller.startswith("user:") else limits._strangers
    return max((window.count for key, window in counters._windows.items() if f"/{name}/" in key and caller in key), default=0)


async def refused(limits: RateLimits, name: str, caller: str) -> None:
    with pytest.raises(ProblemError):
        await limits.hit(name, caller)


def test_requests_to_one_gateway_count_at_the_others(broker: ChannelBroker) -> None:
    async def run() -> None:
        async with gateway(broker) as first, gateway(broker) as second, gateway(broker) as third:
            for _ in range(30):
                for limits in (first, second):
                    await limits.hit("send", "user:1")
            await third.hit("send", "user:2")
            await until_async(lambda: all(count(limits, "send", "user:1") == 60 for limits in (first, second, third)))
            for _ in range(40):
                await third.hit("send", "user:1")
            await refused(third, "send", "user:1")
            await until_async(lambda: count(first, "send", "user:1") == count(second, "send", "user:1") == 100)
            await refused(first, "send", "user:1")
            await refused(second, "send", "user:1")
            await second.hit("send", "user:2")

    asyncio.run(run())


def test_logins_are_announced_at_once_and_those_of_addresses_too(broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_sharing, "ANNOUNCE_EVERY_S", 3600)

    async def run() -> None:
        async with gateway(broker) as first, gateway(broker) as second:

            def known(number: int) -> bool:
                return count(second, "login", "address:203.0.113.1") == number

            await first.hit("send", "user:1")
            for number in range(1, 6):
                await first.hit("login", "address:203.0.113.1")
                await until_async(partial(known, number))
            await refused(second, "login", "address:203.0.113.1")
            assert count(second, "send", "user:1") == 1  # it went with the first log-in

    asyncio.run(run())


def test_a_gateway_that_starts_again_has_the_counts_of_before(broker: ChannelBroker) -> None:
    async def run() -> None:
        async with gateway(broker) as first:
            async with gateway(broker) as old:
                for _ in range(60):
                    await old.hit("send", "user:1")
                old.count_written(1, 1, 1_001)
            await until_async(lambda: count(first, "send", "user:1") == 60)
            async with gateway(broker) as new:
                await until_async(lambda: count(new, "send", "user:1") == 60)
                with pytest.raises(ProblemError, match="bytes"):
                    await new.hit_all(("events", "bytes"), "user:1")
                await new.hit("send", "user:1")
                await until_async(lambda: count(first, "send", "user:1") == 61)

    asyncio.run(run())


def test_counts_of_thousands_of_callers_are_handed_over(broker: ChannelBroker) -> None:
    async def run() -> None:
        async with gateway(broker) as first:
            for number in range(1_000):
                await first.hit("login", f"address:{'ü' * 80}{number}")
                await first.hit("send", f"user:{number}")
            async with gateway(broker) as second:
                await until_async(lambda: len(second._users) == len(second._strangers) == 1_000)

    asyncio.run(run())


def test_without_the_channel_each_gateway_counts_alone_and_announces_it_afterwards(broker: ChannelBroker) -> None:
    async def run() -> None:
        async with gateway(broker) as first, gateway(broker) as second:
            assert not first.counts_alone()
            broker.stop()
            await until_async(lambda: first.counts_alone() and second.counts_alone())
            for limits, times in (first, 10), (second, 20):
                for _ in range(times):
                    await limits.hit("send", "user:1")
            other = ChannelBroker(broker.path)
            other.start()
            await until_async(lambda: count(first, "send", "user:1") == count(second, "send", "user:1") == 30)
            assert not first.counts_alone()
            other.stop()

    asyncio.run(run())


def test_garbage_is_ignored(broker: ChannelBroker) -> None:
    async def run() -> None:
        async with gateway(broker) as first, gateway(broker) as second:
            assert first._sharing is not None
            for content in (
                b"",
                b"\xff",
                b"{}",
                msgspec.msgpack.encode([1, 2, 3]),
                msgspec.msgpack.encode([False, [["k", "x", 1]], []]),
            ):
                first._sharing._listener.send(channel.COUNTS, content)
                first._sharing._listener.send(b"?", content)
                first._sharing._listener.send(channel.HINT, content)
            ended = Counts(are_totals=False, users=[Amount("k", 0.0, 5)], strangers=[])
            first._sharing._listener.send(channel.COUNTS, msgspec.msgpack.encode(ended))
            await first.hit("send", "user:1")
            await until_async(lambda: count(second, "send", "user:1") == 1)
            assert len(second._users) == 1

    asyncio.run(run())


# Windows


def window_of(counters: MemoryCounters, key: str = "ana") -> tuple[int, float]:
    window = counters._windows[key]
    return window.count, window.ends


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: 100.0


def test_a_window_ends_with_that_of_the_gateway_where_it_began_first(clock: Callable[[], float]) -> None:
    counters = MemoryCounters(clock=clock)
    counters.hit([Hit("ana", 10, 60)])
    counters.add(Amount("ana", 159.9, 3))
    assert window_of(counters) == (4, 159.9)
    counters.add(Amount("ana", 170.0, 2))
    assert window_of(counters) == (6, 159.9)
    counters.add(Amount("ana", 99.0, 100))
    assert window_of(counters) == (6, 159.9)


def test_totals_contain_what_is_known_already_and_nothing_that_is_still_to_be_announced(clock: Callable[[], float]) -> None:
    first, second = MemoryCounters(clock=clock), MemoryCounters(clock=clock)
    for counters in (first, second):
        counters.share()
    first.add(Amount("ana", 160.0, 5))
    first.hit([Hit("ana", 100, 60)] * 2)
    (total,) = first.totals()
    assert total == Amount("ana", 160.0, 5)
    second.hit([Hit("ana", 100, 60)])
    for _ in range(2):
        second.add_total(total)
    assert window_of(second) == (6, 160.0)
    (unshared,) = first.unshared.first(10)
    second.add(unshared)
    assert window_of(second)[0] == 8
    first.unshared.pop(1)
    assert [amount.amount for amount in first.totals()] == [7]
    assert first.unshared.first(10) == []


def test_a_window_that_ended_before_it_was_announced_takes_nothing_to_the_next(clock: Callable[[], float]) -> None:
    now = 100.0
    counters = MemoryCounters(clock=lambda: now)
    counters.share()
    counters.hit([Hit("ana", 100, 60)] * 3)
    now = 200.0
    counters.hit([Hit("ana", 100, 60)])
    assert counters.unshared.first(10) == [Amount("ana", 160.0, 3), Amount("ana", 260.0, 1)]


def test_what_waits_to_be_announced_is_bounded(clock: Callable[[], float]) -> None:
    counters = MemoryCounters(max_keys=10, clock=clock)
    counters.share()
    for number in range(100):
        counters.hit([Hit(f"address:{number}", 5, 3600)])
    assert len(counters.unshared) == len(counters) == 10
