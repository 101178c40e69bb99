"""Standard error, written by a thread of its own: a terminal after Ctrl-S, a pipe whose reader hangs or a disk that stalls holds up
that thread, and nobody who has something to tell.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading

import structlog

MOST_CHARS = 4 * 2**20  # that wait; some 15,000 lines of requests
GATHER_S = 0.02  # how long lines are gathered to one write: each wakes this thread, which wants the GIL of whoever is at work
URGENT_S = 0.1  # how long whoever tells of an error waits for it to be written: a crash may follow
END_S = 0.5  # the same at the process' end, for all that waits

logger = structlog.get_logger("log")


class Outlet:
    """What waits to be written to a descriptor. Lines that find no room are dropped; how many is told when there is."""

    def __init__(self, descriptor: int, most_chars: int = MOST_CHARS) -> None:
        self._descriptor = descriptor
        self._most = most_chars
        self._waiting: list[str] = []
        self._chars = 0
        self._dropped = 0
        self._writing = False
        self._stuck = False
        self._gathering = False
        self._hurried = False
        self._changed = threading.Condition()  # of a lock that its holder may take again: collecting garbage may log
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush, END_S)

    def write(self, lines: str, urgent: bool = False) -> None:
        """Takes whole lines and returns at once, or, when they are urgent, as soon as they are written. Used by any thread."""
        with self._changed:
            if self._chars + len(lines) > self._most:
                self._dropped += lines.count("\n")
                return
            self._waiting.append(lines)
            self._chars += len(lines)
            if not self._gathering:
                self._changed.notify_all()
        if urgent and not self._stuck:  # nobody waits twice for the same reader
            self._stuck = not self.flush(URGENT_S)

    def flush(self, within_s: float) -> bool:
        """Waits until all is written; False when it is not within that time."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not (self._waiting or self._writing), within_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                self._gathering = True
                self._changed.wait_for(lambda: self._hurried, GATHER_S)
                self._gathering = self._hurried = False
                text, dropped = "".join(self._waiting), self._dropped
                self._waiting.clear()
                self._chars = self._dropped = 0
                self._writing = True
            if dropped:  # told behind the lines that came before, while there is room for it
                logger.warning("lines of this log were dropped: standard error did not take them", lines=dropped)
            self._write_all(memoryview(text.encode("utf-8", "backslashreplace")))
            with self._changed:
                self._writing = self._stuck = False
                self._changed.notify_all()

    def _write_all(self, data: memoryview) -> None:
        """Straight to the descriptor: the lock of `sys.stderr`, held by a thread that hangs, would break the process' end."""
        with contextlib.suppress(OSError):  # a full disk: a log never fails what it tells of
            while data:
                data = data[os.write(self._descriptor, data) :]
