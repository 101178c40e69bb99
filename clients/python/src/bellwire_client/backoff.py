"""Waits between attempts, which grow while attempts fail."""

from __future__ import annotations

import random

FIRST_WAIT_S, MAX_WAIT_S = 0.3, 20.0
MAX_DOUBLINGS = 10  # more would exceed MAX_WAIT_S anyway; this keeps the number small


class Backoff:
    """The waits after consecutive failures."""

    def __init__(self) -> None:
        self._failures = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Count a failure and return the seconds to wait after it.

        Half of the wait is random, so that clients that failed together do not return together. `at_least_s`, which the server
        requested, is added.
        """
        upper_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, MAX_DOUBLINGS))
        self._failures += 1
        return at_least_s + random.uniform(upper_s / 2, upper_s)

    def reset(self) -> None:
        """Start again with the shortest wait, after a success."""
        self._failures = 0
