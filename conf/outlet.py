"""A log handler that does not block: it queues lines, and a thread writes them to standard error.

A terminal after Ctrl-S, a pipe whose reader hangs, or a disk that stalls blocks only that thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue

import structlog

MAX_QUEUED_CHARS = 4 * 2**20  # some 15,000 lines of requests
URGENT_TIMEOUT_S = 0.1  # how long a thread that logs an error waits until the line is written: a crash may follow
EXIT_TIMEOUT_S = 0.5  # the same at the process' end, for all queued lines

logger = structlog.get_logger("log")


class Outlet(QueueHandler):
    """Queues lines for a descriptor. A line that has no room is dropped; the number of these is logged when there is room again.

    The queue is a SimpleQueue because only its `put` is reentrant: garbage collection may log while a thread is logging. It has no
    bound, so this class counts the characters in it.
    """

    def __init__(self, descriptor: int, max_chars: int = MAX_QUEUED_CHARS) -> None:
        queue: SimpleQueue[logging.LogRecord | threading.Event] = SimpleQueue()
        super().__init__(queue)
        self._max_chars = max_chars
        self._chars = 0
        self._dropped_lines = 0
        self._stuck = False
        self._counting = threading.RLock()
        _Writer(queue, descriptor, self._written).start()

    def createLock(self) -> None:
        """Use no lock: a thread that waits until its error is written would block all others that log."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Render a record and queue it. An error is written when this returns, unless standard error is stuck."""
        super().emit(record)
        if record.levelno >= logging.ERROR:
            self._wait_for_urgent()

    def write(self, lines: str, *, urgent: bool = False) -> None:
        """Queue whole lines that are rendered already. Urgent ones are written when this returns, as errors are."""
        self.enqueue(logging.makeLogRecord({"msg": lines.removesuffix("\n")}))
        if urgent:
            self._wait_for_urgent()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a rendered record, or drop it when the queue is full."""
        with self._counting:
            if self._chars + len(record.msg) + 1 > self._max_chars:
                self._dropped_lines += record.msg.count("\n") + 1
                return
            self._chars += len(record.msg) + 1
        self.queue.put_nowait(record)

    def wait_until_written(self, timeout_s: float) -> bool:
        """Wait until all lines queued so far are written. False when they are not within that time."""
        reached = threading.Event()
        self.queue.put_nowait(reached)
        return reached.wait(timeout_s)

    def flush(self) -> None:
        """Write the queued lines, within EXIT_TIMEOUT_S. `logging` calls this at the process' end."""
        self.wait_until_written(EXIT_TIMEOUT_S)

    def _wait_for_urgent(self) -> None:
        if not self._stuck:  # only the first error waits for a reader that hangs
            self._stuck = not self.wait_until_written(URGENT_TIMEOUT_S)

    def _written(self, record: logging.LogRecord) -> None:
        """Make room for new lines, and log how many were dropped once half of the queue is free. Called on the writer's thread."""
        self._stuck = False
        with self._counting:
            self._chars -= len(record.msg) + 1
            has_room = self._chars <= self._max_chars // 2
            dropped = self._dropped_lines if has_room else 0
            self._dropped_lines -= dropped
        if dropped:
            logger.warning("log_lines_dropped", lines=dropped)


class _Writer(QueueListener):
    """The thread that writes queued lines to a descriptor, in their order.

    It writes without a handler or a file object: their locks, held by a thread that hangs, would block the process' end.
    """

    def __init__(
        self,
        queue: SimpleQueue[logging.LogRecord | threading.Event],
        descriptor: int,
        written: Callable[[logging.LogRecord], None],
    ) -> None:
        super().__init__(queue)
        self._descriptor = descriptor
        self._written = written

    def handle(self, record: logging.LogRecord | threading.Event) -> None:
        """Write a record, or report that the queue was written up to an event of `wait_until_written`."""
        if isinstance(record, threading.Event):
            record.set()
            return
        data = memoryview(f"{record.msg}\n".encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):  # a full disk: the line is lost, the work that logged it goes on
            while data:
                data = data[os.write(self._descriptor, data) :]
        self._written(record)
