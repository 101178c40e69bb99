"""A rate bounds the work that would delay sends."""

import asyncio

from gateway.http.pacing import RatePace


def test_a_rate_bounds_what_begins_beside_sends_and_nothing_else() -> None:
    async def ticks(*, is_sending: bool) -> float:
        """How many seconds of the loop six calls need."""
        pace, loop = RatePace(lambda: is_sending, per_s=100), asyncio.get_running_loop()
        begun = loop.time()
        waiting = [asyncio.ensure_future(pace.wait()) for _ in range(6)]
        await asyncio.sleep(0)
        at_once = sum(each.done() for each in waiting)
        await asyncio.gather(*waiting)
        assert at_once == (1 if is_sending else 6)
        return loop.time() - begun

    assert asyncio.run(ticks(is_sending=True)) >= 0.05
    asyncio.run(ticks(is_sending=False))
