"""Background work from within the gateway: requested from the queue after commits, and carried out here while the queue is
down.

The worker reads the log twice a second without a request, so a request only makes it start sooner. No handler waits for this
thread.
"""

from __future__ import annotations

import threading
import time
from functools import partial

from conf import Settings
from jobs import gauges, tasks
from jobs.drain.backlog import consumers_to_run
from jobs.infra.outage import Outage
from jobs.mail.mailer import Mailer
from metrics.declared import QUEUE_FALLBACK_TOTAL, begin_at_0
from models.hooks import webhook
from models.ops import worker
from models.store.database import disconnect

REQUESTED = "notify"
SPACING_S = 0.1  # between two requests; one commit of the queue each
BUSY_SPACING_S = 0.25  # the same while commits follow each other: a drain of more events needs fewer statements for each
IDLE_S = 0.5  # between two passes during an outage when nothing is committed
RETRY_QUEUE_S = 0.25  # between two requests to a queue that failed
WORKER_GONE_S = 15.0  # without a worker for so long, also after the start, since a worker may start a little later
STOP_TIMEOUT_S = 1.0


class Background:
    """One thread beside the loop. `degraded`: the queue is down, and this thread drains the log instead.

    `without_worker`: no worker has recorded for a while that it is alive; `mail_fails`: one has recorded that the relay is down;
    `hooks_fail`: the latest delivery to an active webhook failed.
    """

    def __init__(self, settings: Settings) -> None:
        self.degraded = self.without_worker = self.mail_fails = self.hooks_fail = False
        tasks.bind(settings)
        begin_at_0(QUEUE_FALLBACK_TOTAL, ("drain", "mail"))
        self._data_dir = settings.data_dir
        self._queue = Outage("queue", "this gateway drains the log by itself")
        self._store = Outage("background", "it is tried again")
        self._gauges = Outage("gauges", "they show their last values")
        self._worker_seen_at = time.monotonic()
        self._retry_queue_at = 0.0
        self._measured_at = 0.0
        self._mail_queued = False
        self._mailer = Mailer(settings, lambda: self.degraded)
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Request background work: events were committed. Called on the loop's thread, for a few microseconds."""
        if not self._wakeup.is_set():
            self._wakeup.set()

    def wake_mail(self) -> None:
        """Request that mail is sent: some was queued."""
        self._mail_queued = True
        self.wake()

    def stop(self) -> None:
        """End the thread, after the slice of events that it may be writing."""
        self._stopping.set()
        self._mailer.stop()
        self.wake()
        for thread in (self._thread, self._mailer):
            if thread.is_alive():
                thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            busy = self._wakeup.is_set()
            woken = self._wakeup.wait(IDLE_S)
            self._wakeup.clear()
            self._store.run_each(partial(self._run_once, woken=woken))
            if time.monotonic() - self._measured_at >= gauges.MEASURE_INTERVAL_S:
                self._measured_at = time.monotonic()
                self._measure()
            self._stopping.wait(BUSY_SPACING_S if busy else SPACING_S)
        disconnect()

    def _run_once(self, *, woken: bool) -> None:
        if self._stopping.is_set():
            return
        if woken or self.degraded:
            self._request()
        if self.degraded:
            self._send_mail()
            written = tasks.run_pending(self._stopping.is_set, tasks.MAX_PENDING_S)
            if woken or written:
                QUEUE_FALLBACK_TOTAL.labels("drain").inc()

    def _request(self) -> None:
        """Request a drain, and mail if some was queued; set `degraded` by whether the queue accepts that."""
        if self.degraded and time.monotonic() < self._retry_queue_at:
            return
        try:
            tasks.request(REQUESTED)
            if self._mail_queued:
                tasks.request_mail()
                self._mail_queued = False
        except Exception as error:  # usually of broker.QUEUE_ERRORS; after any other this thread drains as well
            self.degraded = True
            self._retry_queue_at = time.monotonic() + RETRY_QUEUE_S
            self._queue.record_failure(error)
        else:
            self._queue.record_success()
            self.degraded = False  # last: the one that sees the end of the outage finds its line in the log

    def _send_mail(self) -> None:
        """Let the mailer send on a thread of its own, since sending is slow. It rests while the queue works."""
        if not self._mailer.is_alive():
            self._mailer.start()
        if self._mail_queued:
            self._mail_queued = False
            QUEUE_FALLBACK_TOTAL.labels("mail").inc()
            self._mailer.wake()
        self._mailer.renew()

    def _measure(self) -> None:
        """Measure the gauges that must exist even without a worker: their growing lag is how one notices that none runs."""
        self._gauges.run_each(
            lambda: gauges.measure_disk(self._data_dir),
            lambda: consumers_to_run(tasks.consumers.values()),
            gauges.measure_store,
            self._check_workers,
            self._check_hooks,
            self._measure_queue,
        )

    def _check_workers(self) -> None:
        """Read from the store whether a worker is alive, and whether one can't reach the mail relay."""
        alive = [entry for entry in worker.all_workers() if entry["alive"]]
        now = time.monotonic()
        if alive:
            self._worker_seen_at = now
        self.without_worker = now - self._worker_seen_at > WORKER_GONE_S
        running = {task["what"] for entry in alive for task in entry["running"]}
        self.mail_fails = tasks.RELAY_DOWN in running or (self.degraded and self._mailer.relay_down_since_ms is not None)

    def _check_hooks(self) -> None:
        """Read from the store whether a webhook takes no events."""
        self.hooks_fail = webhook.has_failing()

    def _measure_queue(self) -> None:
        try:
            gauges.measure_queue()
        except Exception as error:
            self.degraded = True
            self._queue.record_failure(error)
