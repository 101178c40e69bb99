"""Waiting for what must come, with one deadline for all tests: far beyond what a busy machine needs, short of pytest's timeout."""

import asyncio
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

LIMIT_S = 120

T = TypeVar("T")


def until(condition: Callable[[], T]) -> T:
    """Return the condition's value once it is true; fail after LIMIT_S."""
    deadline = monotonic() + LIMIT_S
    while not (value := condition()):
        assert monotonic() < deadline, "the condition did not become true in time"
        sleep(0.01)
    return value


async def until_async(condition: Callable[[], object]) -> None:
    """Return once the condition is true, while the loop runs; fail after LIMIT_S."""
    deadline = monotonic() + LIMIT_S
    while not condition():
        assert monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.002)
