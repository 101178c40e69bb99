"""A progress bar in plain text on standard error."""

import sys
from time import perf_counter

WIDTH = 30
EVERY_S = 0.2  # on a terminal; a file gets a line every 10 s
FILE_EVERY_S = 10.0


class Progress:
    """Shows how many of how many, and how many a second."""

    def __init__(self, total: int, shown: bool = True) -> None:
        """Show nothing yet."""
        self._total, self._shown = total, shown
        self._terminal = sys.stderr.isatty()
        self._start = self._last = 0.0

    def start(self) -> None:
        """Start the clock."""
        self._start = self._last = perf_counter()

    def at(self, done: int) -> None:
        """Draw, if it is time to or all is done."""
        now = perf_counter()
        every = EVERY_S if self._terminal else FILE_EVERY_S
        if not self._shown or (now - self._last < every and done < self._total):
            return
        self._last = now
        filled = WIDTH * done // max(1, self._total)
        rate = done / max(now - self._start, 1e-9)
        bar = f"[{'#' * filled}{'-' * (WIDTH - filled)}] {done:,} of {self._total:,} messages, {rate:,.0f}/s"
        end = "\r" if self._terminal and done < self._total else "\n"
        print(bar, end=end, file=sys.stderr, flush=True)
