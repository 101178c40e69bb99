"""Refusals of a caller that goes on without a pause wait; those of others do not."""

import asyncio

import time_machine

from gateway.http.refusal_delay import IMMEDIATE_REFUSALS, RefusalDelay

NEVER_S = 3600.0


def test_only_the_refusals_beyond_the_first_of_a_second_wait() -> None:
    async def scenario() -> None:
        delay = RefusalDelay(NEVER_S)
        hammering = [asyncio.ensure_future(delay.wait("user:1")) for _ in range(IMMEDIATE_REFUSALS + 5)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in hammering) == IMMEDIATE_REFUSALS
        await delay.wait("user:2")
        for task in hammering:
            task.cancel()

    with time_machine.travel("2026-01-01", tick=False):
        asyncio.run(scenario())


def test_a_waiting_refusal_ends_after_the_delay() -> None:
    async def scenario() -> None:
        delay = RefusalDelay(0.01)
        await asyncio.gather(*(delay.wait("user:1") for _ in range(IMMEDIATE_REFUSALS + 5)))

    asyncio.run(scenario())
