"""Places bound the work of each caller, and of all callers, that goes on at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.http.places import Places
from models.store.errors import LimitedError, StoreDownError
from tests.waiting import LIMIT_S


def test_a_caller_waits_for_their_own_places_in_order() -> None:
    entered: list[int] = []

    async def scenario() -> None:
        places = Places("downloads", 10, 2, 10, LIMIT_S)
        leave = [asyncio.Event() for _ in range(5)]

        async def enter(number: int) -> None:
            async with places.place(1):
                entered.append(number)
                await leave[number].wait()

        tasks = [asyncio.create_task(enter(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert entered == [0, 1]
        async with places.place(2):
            assert places.occupied == 3
        for number in range(5):
            leave[number].set()
            await tasks[number]
        assert entered == list(range(5))
        assert (places.occupied, places._waiting) == (0, {})

    asyncio.run(scenario())


def test_too_many_and_too_long_are_refused() -> None:
    async def scenario() -> None:
        places = Places("downloads", 2, 1, 1, 0.05)
        async with places.place(1):
            waiting = asyncio.create_task(places.place(1).__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(LimitedError):
                await places.place(1).__aenter__()
            with pytest.raises(LimitedError):
                await waiting
            async with AsyncExitStack() as others:
                await others.enter_async_context(places.place(2))
                with pytest.raises(StoreDownError):
                    await places.place(3).__aenter__()
        assert (places.occupied, places._waiting) == (0, {})

    asyncio.run(scenario())
