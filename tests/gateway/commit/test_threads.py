"""Thread pools: nobody's work keeps the others' waiting."""

import asyncio
import threading

import pytest

from gateway.commit.threads import MAX_SEARCHES_PER_ACCOUNT, SearchPool
from models.store.errors import LimitedError


def test_an_account_with_many_searches_delays_another_by_one() -> None:
    ran: list[str] = []
    began, free = threading.Event(), threading.Event()

    def search(name: str) -> None:
        began.set()
        free.wait(120)
        ran.append(name)

    async def scenario() -> None:
        pool = SearchPool()
        many = [asyncio.ensure_future(pool.of_account(1, search, f"ana {n}")) for n in range(MAX_SEARCHES_PER_ACCOUNT)]
        await asyncio.to_thread(began.wait, 120)
        other = asyncio.ensure_future(pool.of_account(2, search, "ben"))
        await asyncio.sleep(0)
        with pytest.raises(LimitedError):
            await pool.of_account(1, search, "one too many")
        free.set()
        await asyncio.gather(*many, other)
        await pool.of_account(1, search, "later")
        pool.close()

    asyncio.run(scenario())
    assert ran == ["ana 0", "ben", *[f"ana {n}" for n in range(1, MAX_SEARCHES_PER_ACCOUNT)], "later"]
