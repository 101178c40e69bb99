"""What a worker process has besides Huey's threads: its metrics port, its log, and its own look at the log of events.

The look makes the queue a matter of speed alone. A task may be lost, the queue's file may be gone: half a second later the work is
done all the same.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from huey.consumer import Consumer

import metrics
from conf import Settings
from conf.logging import adopt, configure
from jobs import parent, signals, tasks
from jobs.broker import UNUSABLE, Broker
from jobs.gauges import EVERY_S, measure_queue
from jobs.outage import Outage
from models import disconnect
from models.running import hold_running_lock

LOOK_S = 0.5

__all__ = ["WorkerConsumer", "signals"]  # loading the signals connects them


class WorkerConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer, which looks by itself, too."""

    def __init__(self, huey: Broker, settings: Settings, **options: Any) -> None:
        super().__init__(huey, **options)
        self._settings = settings
        self._looking = threading.Thread(target=self._look_again_and_again, name="look", daemon=True)

    def start(self) -> None:
        """Starts everything; called once, by `run`. Raises RestoringError while a restore has the data folder."""
        hold_running_lock(self._settings.data_dir)
        configure(self._settings, "worker")
        adopt("huey")  # huey_consumer has just given it a handler
        tasks.stopping = self.stop_flag
        metrics.serve(self._settings.worker_metrics_port, self._settings.metrics_allow)
        super().start()
        self._looking.start()
        parent.watch()

    def _join_workers(self) -> bool:
        """Waits for the looking thread as well, whose slice may be half written."""
        ended: bool = super()._join_workers()
        self._looking.join(self.shutdown_timeout)
        return ended and not self._looking.is_alive()

    def _look_again_and_again(self) -> None:
        store = Outage("the worker's look at the log", "it is tried again")
        measured = 0.0
        while not self.stop_flag.wait(LOOK_S):
            try:
                tasks.look(self.stop_flag.is_set)
                store.over()
            except Exception as error:  # whatever it is, the next look may do better
                store.failed(error)
                disconnect()
            if time.monotonic() - measured > EVERY_S:
                measured = time.monotonic()
                _keep_queue()
        disconnect()


def _keep_queue() -> None:
    try:
        tasks.clear_stale_flags()
        measure_queue()
    except UNUSABLE:
        pass  # reported by those who need it
