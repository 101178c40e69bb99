"""How long to wait before the next try, ever longer while tries fail."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.3, 20.0
DOUBLINGS_MAX = 10  # far past LONGEST_S, and no number grows for ever


class Backoff:
    """One row of failures."""

    def __init__(self) -> None:
        self._failures = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait after one more failure. Half of it is random, so that clients who failed together don't come back
        together; what the server asked for comes on top."""
        upper_s = min(LONGEST_S, FIRST_S * 2 ** min(self._failures, DOUBLINGS_MAX))
        self._failures += 1
        return at_least_s + random.uniform(upper_s / 2, upper_s)

    def reset(self) -> None:
        """It works again."""
        self._failures = 0
