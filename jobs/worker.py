"""The worker process: Huey's consumer, with a metrics port, a mailer, and a thread that checks the log itself.

That thread makes the queue an optimization only: if a task is lost, or the queue cannot be used, the work is done half a second
later.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

from huey.consumer import Consumer

import metrics
from conf import Settings
from conf.logging import adopt, configure, detach
from jobs import signals, tasks
from jobs.consumers import bursts, unseen
from jobs.gauges import MEASURE_INTERVAL_S, measure_disk, measure_queue, set_build_info
from jobs.hooks.deliverer import Deliverer
from jobs.infra import channel, parent
from jobs.infra.channel import HintSender
from jobs.infra.heartbeat import Heartbeat
from jobs.infra.outage import Outage
from jobs.mail.mailer import Mailer
from jobs.pictures.processor import PictureProcessor
from jobs.push.sender import PushSender
from jobs.queue.broker import QUEUE_ERRORS, Broker
from jobs.upkeep.sweeper import Sweeper
from models.log import event
from models.store import facts
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import disconnect

CHECK_INTERVAL_S = 0.5
GIL_SWITCH_INTERVAL_S = 0.0005  # a transaction has the store's lock while it waits for a busy thread, some ten times

__all__ = ["WorkerConsumer", "signals"]  # importing the signals connects them


class WorkerConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer, with a thread beside it that runs pending work, the scheduler, the heartbeat and the gauges."""

    def __init__(self, huey: Broker, settings: Settings, **options: Any) -> None:
        super().__init__(huey, **options)
        self._settings = settings
        self._mailer = Mailer(settings)
        self._push_sender = PushSender(settings)
        self._deliverer = Deliverer(settings)
        self._pictures = PictureProcessor(settings)
        self._sweeper = Sweeper(settings, lambda: huey.scheduler.has_lease)
        self._heartbeat = Heartbeat(tasks.running_work)
        self._checker = threading.Thread(target=self._check_repeatedly, name="checker", daemon=True)

    def start(self) -> None:
        """Start everything; called once, by `run`. Raises RestoringError while a restore uses the data folder."""
        acquire_running_lock(self._settings.data_dir)
        sys.setswitchinterval(GIL_SWITCH_INTERVAL_S)
        configure(self._settings, "worker")
        detach()
        adopt("huey")  # huey_consumer has given it a handler of its own
        tasks.stopping = self.stop_flag
        signals.create_series([*tasks.consumers, bursts.NAME, unseen.NAME])
        set_build_info(self._settings)
        measure_disk(self._settings.data_dir)  # before the port is open: 0 would look like a full disk
        metrics.serve(self._settings.worker_metrics_port, self._settings.metrics_allow)
        self._publish_hints()
        tasks.mailer, tasks.push_sender, tasks.pictures = self._mailer, self._push_sender, self._pictures
        self._mailer.start()
        self._push_sender.start()
        self._deliverer.start()
        self._pictures.start()
        self._sweeper.start()
        super().start()
        self._checker.start()
        parent.watch()

    def _publish_hints(self) -> None:
        """Publish the ids of appended events over Redis, or on SQLite over the channel of `serve`: gateways notice them sooner."""
        if self._settings.database_url is None:
            path = channel.path()
            if path is not None and self._settings.redis_url is None:
                event.on_append.append(HintSender(path).hint)
        elif self._settings.redis_url is not None:
            from jobs.infra.publisher import Publisher

            publisher = Publisher(self._settings.redis_url, facts.epoch())
            disconnect()
            publisher.start()
            event.on_append.append(publisher.hint)

    def _join_workers(self) -> bool:
        """Wait also for the checker, which may be writing a slice, and for mail, pushes and pictures in progress."""
        self._mailer.stop()
        self._push_sender.stop()
        self._deliverer.stop()
        self._pictures.stop()
        self._sweeper.stop()
        ended: bool = super()._join_workers()
        others = (self._checker, self._mailer, self._push_sender, self._deliverer, self._pictures, self._sweeper)
        for other in others:
            other.join(self.shutdown_timeout)
        return ended and not any(other.is_alive() for other in others)

    def _check_repeatedly(self) -> None:
        outage, gauges = Outage("log_check", "it is tried again"), Outage("gauges", "they show their last values")
        measured_at = 0.0
        while not self.stop_flag.wait(CHECK_INTERVAL_S):
            outage.run_each(
                self.huey.scheduler.renew,
                lambda: tasks.run_pending(self.stop_flag.is_set, tasks.MAX_PENDING_S),
                self._mailer.renew,
                self._pictures.renew,
                self._heartbeat.send,
            )
            if time.monotonic() - measured_at > MEASURE_INTERVAL_S:
                measured_at = time.monotonic()
                gauges.run_each(lambda: measure_disk(self._settings.data_dir), self._measure_queue)
        with contextlib.suppress(Exception):  # the lease then expires
            self.huey.scheduler.release()
            self._heartbeat.stop()
        disconnect()

    def _measure_queue(self) -> None:
        with contextlib.suppress(*QUEUE_ERRORS):  # logged by the threads that need the queue
            measure_queue()
