"""Slower refusals for a caller that goes on without a pause: a refusal costs the loop as much time as an answer."""

import asyncio
import random
import time
from collections import Counter

IMMEDIATE_REFUSALS = 20  # of a caller in a second; a client that heeds Retry-After gets one
DELAY_S = 1.0  # about: each connection of such a caller then costs one refusal a second
SPREAD = (0.5, 1.5)


class RefusalDelay:
    """The refusals of each caller in the present second; the number of callers is bounded by what a second can refuse."""

    def __init__(self, delay_s: float = DELAY_S) -> None:
        self._delay_s = delay_s
        self._second = 0
        self._refused: Counter[str] = Counter()

    async def wait(self, caller: str) -> None:
        """Count a refusal. Return at once for the first of a second, after the delay for later ones."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._refused.clear()
        self._refused[caller] += 1
        if self._refused[caller] > IMMEDIATE_REFUSALS:
            await asyncio.sleep(self._delay_s * random.uniform(*SPREAD))  # else its connections would return all at once
