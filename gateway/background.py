"""Keeps the background work going from within the gateway: asks for it after commits, and does it when the queue refuses.

The worker looks at the log by itself twice a second, so what is asked for here is only what should not wait as long. No handler
waits for any of it.
"""

from __future__ import annotations

import contextlib
import threading
import time

from conf import Settings
from jobs import gauges, tasks
from jobs.drain.backlog import consumers_to_run
from jobs.infra.outage import Outage
from jobs.mail.mailer import Mailer
from jobs.queue.broker import QUEUE_ERRORS
from metrics.declared import QUEUE_FALLBACK_TOTAL
from models.store.database import disconnect

REQUESTED = "notify"
SPACING_S = 0.1  # between two requests; one commit of the queue each
IDLE_S = 0.5  # between two turns during an outage when nothing is committed
RETRY_QUEUE_S = 0.25  # between two attempts at a queue that refused
STOP_S = 1.0


class Background:
    """One thread beside the loop. `degraded`: the queue refuses, and this thread drains the log instead."""

    def __init__(self, settings: Settings) -> None:
        self.degraded = False
        tasks.bind(settings)
        for task in ("drain", "mail"):
            QUEUE_FALLBACK_TOTAL.labels(task)  # counted from 0: of a series that begins at 1, Prometheus sees no increase
        self._data_dir = settings.data_dir
        self._queue = Outage("the queue", "the gateway drains the log itself")
        self._store = Outage("background work in the gateway", "it is tried again")
        self._try_at = 0.0
        self._measured = 0.0
        self._mail = False  # some was queued
        self._mailer = Mailer(settings, lambda: self.degraded)
        self._asleep = threading.Lock()  # held while there is nothing to do; releasing it costs a third of setting an Event
        self._asleep.acquire()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Events were committed. For the loop's thread: a microsecond, and a tenth of it when the thread is awake already."""
        if self._asleep.locked():
            with contextlib.suppress(RuntimeError):  # somebody else has just released it
                self._asleep.release()

    def wake_mail(self) -> None:
        """Mail was queued."""
        self._mail = True
        self.wake()

    def stop(self) -> None:
        """Ends the thread, after the slice that it may be writing."""
        self._stopping.set()
        self._mailer.stop()
        self.wake()
        for thread in (self._thread, self._mailer):
            if thread.is_alive():
                thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            woken = self._asleep.acquire(timeout=IDLE_S)
            try:
                self._turn(woken)
                self._store.record_success()
            except Exception as error:  # the store's; the next turn may do better, and the thread must live
                self._store.record_failure(error)
                disconnect()
            self._stopping.wait(SPACING_S)
        disconnect()

    def _turn(self, woken: bool) -> None:
        if self._stopping.is_set():
            return
        if woken or self.degraded:
            self._request()
        if self.degraded:
            self._send_mail()
            done = tasks.run_pending(self._stopping.is_set)
            if woken or done:
                QUEUE_FALLBACK_TOTAL.labels("drain").inc()
        if time.monotonic() - self._measured >= gauges.MEASURE_INTERVAL_S:
            self._measured = time.monotonic()
            self._measure()

    def _request(self) -> None:
        """Asks for a drain, or notices that the queue refuses, or that it works again."""
        if self.degraded and time.monotonic() < self._try_at:
            return
        try:
            tasks.request(REQUESTED)
            if self._mail:
                tasks.request_mail()
                self._mail = False
        except QUEUE_ERRORS as error:
            self.degraded = True
            self._try_at = time.monotonic() + RETRY_QUEUE_S
            self._queue.record_failure(error)
        else:
            self.degraded = False
            self._queue.record_success()

    def _send_mail(self) -> None:
        """The mailer takes its time, on a thread of its own, which rests while the queue works."""
        if not self._mailer.is_alive():
            self._mailer.start()
        if self._mail:
            self._mail = False
            QUEUE_FALLBACK_TOTAL.labels("mail").inc()
            self._mailer.wake()
        self._mailer.renew()

    def _measure(self) -> None:
        """Gauges that must be there also when no worker runs, which is what a growing lag then shows."""
        gauges.measure_disk(self._data_dir)
        consumers_to_run(tasks.consumers.values())
        gauges.measure_store()
        try:
            gauges.measure_queue()
        except QUEUE_ERRORS as error:
            self.degraded = True
            self._queue.record_failure(error)
