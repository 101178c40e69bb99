"""Gateways that share limits count each other's requests, also what a gateway counted before it was replaced."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest

from commands.channel import ChannelBroker
from conf import Settings
from gateway.delivery.listeners import ChannelListener
from gateway.http import limit_sharing
from gateway.http.errors import ProblemError
from gateway.http.limit_counters import Amount, Hit, MemoryCounters, UnsharedWindows, _Window
from gateway.http.limit_sharing import Counts
from gateway.http.rate_limits import RateLimits
from jobs.infra import channel
from tests.channel_broker import running_broker
from tests.waiting import LIMIT_S, until_async

LIMITS = {"limit_send": "100/hour", "limit_login": "5/hour", "limit_bytes": "1000/day", "limit_events": "1000/day"}


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
    """The count of a caller under a limit, as far as this gateway knows it."""
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

            for number in range(1, 6):
                await first.hit("login", "address:203.0.113.1")
                await until_async(partial(known, number))
            await refused(second, "login", "address:203.0.113.1")

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
                waiting = new.hit_all(("events", "bytes"), "user:1")
                assert waiting is not None
                with pytest.raises(ProblemError, match="bytes"):
                    await waiting
                await new.hit("send", "user:1")
                await until_async(lambda: count(first, "send", "user:1") == 61)

    asyncio.run(run())


def test_a_gateway_gets_the_counts_from_another_one_if_the_oldest_hangs(
    broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_sharing, "ANSWER_WITHIN_S", 0.05)

    async def run() -> None:
        async with gateway(broker) as oldest, gateway(broker) as second:
            assert oldest._sharing is not None
            oldest._sharing._listener.handlers[channel.COUNTS_REQUEST] = lambda *_: None
            for _ in range(60):
                await second.hit("send", "user:1")
            await until_async(lambda: count(oldest, "send", "user:1") == 60)
            async with gateway(broker) as third:
                await until_async(lambda: count(third, "send", "user:1") == 60)

    asyncio.run(run())


def test_a_gateway_that_stops_announces_thousands_of_callers_that_the_others_do_not_know(
    broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_sharing, "LAST_ANNOUNCEMENT_S", LIMIT_S)

    async def run() -> None:
        async with gateway(broker) as first:
            async with gateway(broker) as old:
                for number in range(5_000):  # more than a socket accepts at once, less than the channel keeps for one that is slow
                    old.hit_all(("send",), f"user:{'x' * 80}{number}")
            await until_async(lambda: len(first._users) == 5_000)

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
            with running_broker(broker.path):
                await until_async(lambda: count(first, "send", "user:1") == count(second, "send", "user:1") == 30)
                assert not first.counts_alone()

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


class Shared:
    """Counters of one process, at a time that the test sets."""

    def __init__(self, max_keys: int = 1_000) -> None:
        self.now = 100.0
        self.counters = MemoryCounters(max_keys, lambda: self.now)
        self.urgent: list[bool] = []
        self.unshared = self.counters.share(self.urgent.append)

    def hit(self, times: int, limit: int = 100, window_s: int = 60) -> None:
        for _ in range(times):
            self.counters.hit([Hit("ana", limit, window_s)])

    def announced(self) -> list[Amount]:
        amounts = self.unshared.first(100)
        self.unshared.pop(len(amounts))
        return amounts

    def count(self) -> int:
        return self.counters._windows["ana"].count


def test_a_window_ends_with_that_of_the_gateway_where_it_began_first() -> None:
    shared = Shared()
    shared.hit(1)
    for ends, amount in (159.9, 3), (170.0, 2), (99.0, 100):
        shared.counters.add(Amount("ana", ends, amount))
    assert shared.count() == 6
    assert shared.counters._windows["ana"].ends == 159.9


def test_totals_contain_what_is_known_already_and_nothing_that_is_still_to_be_announced() -> None:
    first, second = Shared(), Shared()
    first.counters.add(Amount("ana", 160.0, 5))
    first.hit(2)
    (total,) = first.counters.totals()
    assert total == Amount("ana", 160.0, 5)
    second.hit(1)
    for _ in range(2):
        second.counters.add_total(total)
    assert second.count() == 6
    first.unshared.promote()
    (amount,) = first.announced()
    second.counters.add(amount)
    assert second.count() == 8
    assert [total.amount for total in first.counters.totals()] == [7]
    assert first.announced() == []


def test_few_hits_far_from_the_limit_are_announced_later_and_in_a_short_window_never() -> None:
    shared = Shared()
    shared.hit(9)
    assert shared.announced() == []
    shared.unshared.promote()
    assert [amount.amount for amount in shared.announced()] == [9]
    shared.now = 200.0
    shared.hit(9, window_s=1)
    shared.unshared.promote()
    assert shared.announced() == []
    shared.hit(1, window_s=1)
    assert shared.announced() == [Amount("ana", 201.0, 10)]
    assert shared.urgent == [False, False]


def test_a_low_limit_of_a_long_window_is_urgent() -> None:
    shared = Shared()
    shared.hit(1, limit=5)
    assert shared.urgent == [True]
    assert [amount.amount for amount in shared.announced()] == [1]


@pytest.mark.parametrize("processes", [2, 5])
@pytest.mark.parametrize("limit", [1, 7, 20, 100])
def test_whatever_comes_where_the_limit_is_exact_as_soon_as_announcements_arrive(processes: int, limit: int) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        all_shared = [Shared() for _ in range(processes)]
        weights = [chance.random() ** 3 for _ in all_shared]
        let_through = 0
        for _ in range(3 * limit):
            (shared,) = chance.choices(all_shared, weights)
            let_through += shared.counters.hit([Hit("ana", limit, 1)]) is None
            while amounts := [(each, amount) for each in all_shared for amount in each.announced()]:
                for sender, amount in amounts:
                    for other in all_shared:
                        if other is not sender:
                            other.counters.add(amount)
        assert let_through == limit, seed


def test_a_window_that_ended_before_it_was_announced_takes_nothing_to_the_next() -> None:
    shared = Shared()
    shared.hit(10)
    shared.now = 200.0
    shared.hit(11)
    assert shared.announced() == [Amount("ana", 160.0, 10), Amount("ana", 260.0, 11)]
    assert shared.count() == 11


def test_what_waits_to_be_announced_is_bounded() -> None:
    shared = Shared(max_keys=10)
    for number in range(100):
        shared.counters.hit([Hit(f"address:{number}", 5, 3600), Hit(f"long:{number}", 500, 3600), Hit(f"short:{number}", 5, 1)])
    assert len(shared.unshared.soon) == len(shared.unshared.later) == len(shared.counters) == 10
    for number in range(100):  # without a channel, nothing leaves
        shared.unshared.promote()
        shared.counters.hit([Hit(f"later:{number}", 500, 3600)])
    assert len(shared.unshared.soon) == 10


def test_a_window_is_announced_once_also_if_too_many_wait() -> None:
    unshared = UnsharedWindows(2, lambda _: None)
    ana, ben, cy = _Window("ana"), _Window("ben"), _Window("cy")
    for window, amount in ((ana, 1), (ana, 100), (ben, 1), (cy, 1), (ana, 1)):
        unshared.add(window, amount, Hit(window.key, 500, 3600))
    assert unshared.first(10) == [Amount("ana", 0.0, 102)]
