"""What a worker process has besides Huey's threads: its metrics port, its log, and its own look at the log of events.

The look makes the queue a matter of speed alone. A task may be lost, the queue's file may be gone: half a second later the work is
done all the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from huey.consumer import Consumer

import metrics
from conf import Settings
from conf.logging import adopt, configure, detach
from jobs import signals, tasks
from jobs.gauges import MEASURE_INTERVAL_S, measure_disk, measure_queue, set_build_info
from jobs.infra import parent
from jobs.infra.heartbeat import Heartbeat
from jobs.infra.outage import Outage
from jobs.mail.mailer import Mailer
from jobs.queue.broker import QUEUE_ERRORS, Broker
from models.log import event
from models.store import facts
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import disconnect

LOOK_S = 0.5

__all__ = ["WorkerConsumer", "signals"]  # loading the signals connects them


class WorkerConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer, which looks by itself, too."""

    def __init__(self, huey: Broker, settings: Settings, **options: Any) -> None:
        super().__init__(huey, **options)
        self._settings = settings
        self._mailer = Mailer(settings)
        self._heartbeat = Heartbeat(tasks.running_work)
        self._looking = threading.Thread(target=self._look_again_and_again, name="look", daemon=True)

    def start(self) -> None:
        """Starts everything; called once, by `run`. Raises RestoringError while a restore has the data folder."""
        acquire_running_lock(self._settings.data_dir)
        configure(self._settings, "worker")
        detach()
        adopt("huey")  # huey_consumer has just given it a handler
        tasks.stopping = self.stop_flag
        signals.create_series(tasks.consumers)
        set_build_info(self._settings)
        measure_disk(self._settings.data_dir)  # before anybody reads it: 0 would be a full disk
        metrics.serve(self._settings.worker_metrics_port, self._settings.metrics_allow)
        self._tell_gateways()
        tasks.mailer = self._mailer
        self._mailer.start()
        super().start()
        self._looking.start()
        parent.watch()

    def _tell_gateways(self) -> None:
        """Events of drains are hints too; on one file, and with NOTIFY, gateways hear of them without."""
        if self._settings.redis_url is not None and self._settings.database_url is not None:
            from jobs.infra.publisher import Publisher

            publisher = Publisher(self._settings.redis_url, facts.epoch())
            disconnect()
            publisher.start()
            event.on_append.append(publisher.hint)

    def _join_workers(self) -> bool:
        """Waits for the looking thread as well, whose slice may be half written, and for the mail that is just being sent."""
        self._mailer.stop()
        ended: bool = super()._join_workers()
        self._looking.join(self.shutdown_timeout)
        self._mailer.join(self.shutdown_timeout)
        return ended and not self._looking.is_alive() and not self._mailer.is_alive()

    def _look_again_and_again(self) -> None:
        outage = Outage("the worker's look at the log", "it is tried again")
        measured = 0.0
        while not self.stop_flag.wait(LOOK_S):
            try:
                self.huey.scheduler.renew()
                tasks.run_pending(self.stop_flag.is_set)
                self._mailer.renew()
                self._heartbeat.send()
                outage.record_success()
            except Exception as error:  # whatever it is, the next look may do better
                outage.record_failure(error)
                disconnect()
            if time.monotonic() - measured > MEASURE_INTERVAL_S:
                measured = time.monotonic()
                measure_disk(self._settings.data_dir)
                with contextlib.suppress(*QUEUE_ERRORS):  # reported by those who need it
                    measure_queue()
        with contextlib.suppress(Exception):  # then it runs out by itself
            self.huey.scheduler.release()
            self._heartbeat.stop()
        disconnect()
