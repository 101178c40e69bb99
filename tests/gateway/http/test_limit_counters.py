"""Windows in memory and on Redis count alike. Memory is bounded, and Redis needs one command for a request."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest

from gateway.http.limit_counters import Hit, MemoryCounters, RedisCounters, Refusal
from jobs.infra.redis_client import create_async_client
from tests.redis_server import RedisServer

COUNT = Callable[..., Awaitable[Refusal | None]]


@pytest.fixture(params=["memory", "redis"])
def count(request: pytest.FixtureRequest) -> COUNT:
    """Count hits in memory or on Redis, on the test's loop."""
    counters: MemoryCounters | RedisCounters = MemoryCounters()
    if request.param == "redis":
        counters = RedisCounters(create_async_client(request.getfixturevalue("redis_server").url, 5))

    async def hit(*hits: Hit) -> Refusal | None:
        refusal = counters.hit(hits)
        return await refusal if isinstance(refusal, Awaitable) else refusal

    return hit


def test_a_window_refuses_the_request_that_is_one_too_many(count: COUNT) -> None:
    async def run() -> None:
        assert [await count(Hit("ana", 2, 60)) for _ in range(2)] == [None, None]
        refusal = await count(Hit("ana", 2, 60))
        assert refusal is not None
        assert refusal.position == 0
        assert 0 < refusal.wait_s <= 60
        assert await count(Hit("ben", 2, 60)) is None

    asyncio.run(run())


def test_a_request_that_one_window_refuses_counts_in_no_other(count: COUNT) -> None:
    async def run() -> None:
        assert await count(Hit("minute", 2, 60), Hit("second", 1, 60)) is None
        for _ in range(3):
            refusal = await count(Hit("minute", 2, 60), Hit("second", 1, 60))
            assert refusal is not None
            assert refusal.position == 1
        assert await count(Hit("minute", 2, 60)) is None
        assert await count(Hit("minute", 2, 60)) is not None

    asyncio.run(run())


def test_amounts_that_were_spent_count_also_when_they_exceed_the_limit(count: COUNT) -> None:
    async def run() -> None:
        assert await count(Hit("bytes", 100, 60, cost=0, spent=0)) is None
        assert await count(Hit("bytes", 100, 60, cost=0, spent=100)) is None
        assert await count(Hit("bytes", 100, 60, cost=0, spent=500)) is not None
        assert await count(Hit("bytes", 600, 60, cost=0)) is None
        assert await count(Hit("bytes", 599, 60, cost=0)) is not None

    asyncio.run(run())


def test_a_window_ends() -> None:
    now = 0.0
    counters = MemoryCounters(clock=lambda: now)
    hit = [Hit("ana", 1, 60)]
    assert counters.hit(hit) is None
    now = 59.0
    assert counters.hit(hit) == Refusal(0, 1.0)
    now = 60.0
    assert counters.hit(hit) is None
    assert counters.hit(hit) == Refusal(0, 60.0)


def test_a_window_on_redis_ends(redis_server: RedisServer) -> None:
    counters = RedisCounters(create_async_client(redis_server.url, 5))

    async def run() -> None:
        assert await counters.hit([Hit("ana", 1, 60)]) is None
        with redis_server.client() as client:
            assert 0 < client.pttl("ana") <= 60_000
            client.pexpire("ana", 1)
            while client.exists("ana"):
                pass
        assert await counters.hit([Hit("ana", 1, 60)]) is None

    asyncio.run(run())


def test_strangers_never_fill_the_memory() -> None:
    counters = MemoryCounters(max_keys=100)
    for number in range(10_000):
        counters.hit([Hit(f"address:{number}", 10, 3600)])
    assert len(counters) == 100


def test_windows_that_are_over_are_removed_while_others_arrive() -> None:
    now = 0.0
    counters = MemoryCounters(clock=lambda: now)
    for number in range(1_000):
        now += 1
        counters.hit([Hit(f"address:{number}", 10, 10), Hit(f"address:{number}", 100, 10)])
    assert len(counters) <= 30


def test_a_hit_takes_as_many_steps_among_many_people_as_among_few() -> None:
    def steps(people: int) -> int:
        counters = MemoryCounters()
        for number in range(people):
            counters.hit([Hit(f"user:{number}", 10, 3600)])
        lines = 0

        def trace(*_: object) -> object:
            nonlocal lines
            lines += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        counters.hit([Hit("user:0", 10, 3600), Hit("new", 10, 3600)])
        sys.settrace(before)
        return lines

    assert steps(10_000) == steps(10)


def test_one_command_to_redis_counts_a_request(redis_server: RedisServer) -> None:
    counters = RedisCounters(create_async_client(redis_server.url, 5))
    hits = [Hit(name, 10, 60) for name in ("api", "second", "minute", "events", "bytes")]

    async def run() -> dict[str, int]:
        await counters.hit(hits)  # connects, and loads the script
        with redis_server.client() as client:
            client.config_resetstat()
            await counters.hit(hits)
            stats = client.info("commandstats")
        return {name: stats[name]["calls"] for name in stats}

    calls = asyncio.run(run())
    assert calls.pop("cmdstat_evalsha") == 1
    inside = {"cmdstat_get", "cmdstat_incrby", "cmdstat_pttl", "cmdstat_pexpire"}
    assert set(calls) - inside - {"cmdstat_config|resetstat", "cmdstat_info"} == set()
