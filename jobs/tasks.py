"""When drains run: as Huey tasks that somebody requested, or since somebody looked and found work. What they do is the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

import structlog
from huey import crontab
from huey.constants import EmptyData

from conf import Settings
from jobs.consumers.activity import ActivityConsumer
from jobs.consumers.admin_watch import AdminWatchConsumer
from jobs.consumers.announcements import AnnouncementConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.post_counts import PostCountsConsumer
from jobs.consumers.search_index import SearchIndexConsumer
from jobs.drain.backlog import consumers_to_run
from jobs.drain.consumer import Consumer
from jobs.drain.drain import DrainResult, Stop, never
from jobs.drain.drain import drain as drain_log
from jobs.infra.outage import Outage
from jobs.mail import digests
from jobs.mail.mailer import Mailer
from jobs.queue import broker
from jobs.queue.broker import QUEUE_ERRORS, huey
from jobs.queue.scheduler import exclusive
from jobs.upkeep.archive import Archiver
from jobs.upkeep.partitioner import Partitioner
from jobs.upkeep.retention import Retention
from models.ops.worker import Busy
from models.store.clock import now_ms

TASK_S = 5.0  # a drain that takes longer queues itself again, for other tasks to have their turn
SWEEP_S = 120.0  # what has its time is cleared away for so long at most; the rest waits for the next minute
TURN_S = 1.0  # of each consumer while one thread looks after all
STALE_FLAG_S = 10.0  # a flag this old was left by a process that died; at worst two tasks are queued
FLAG = "pending:"
MAIL = "mail"
LONG_MS = 1_000  # what takes less is not worth telling
MAIL_PRIORITY = 10  # priority of what somebody waits for, such as a code
NO_WORK = DrainResult(0, 0, False, False)

logger = structlog.get_logger("jobs")

stopping = Event()  # set when this process ends; drains stop after their slice
consumers: dict[str, Consumer] = {}
retention: Retention  # of this process, once it is bound
archiver: Archiver | Partitioner  # the same
mailer: Mailer | None = None  # of this process, when it is a worker


class _SerialRunner:
    """One drain of a consumer at a time in a process. Who comes while one runs has it run once more, and does not wait."""

    def __init__(self, name: str) -> None:
        self.outage = Outage(f"the drain {name}", "it is tried again")
        self.since_ms: int | None = None  # while a drain runs
        self._busy = Lock()
        self._wanted = Event()

    def run(self, work: Callable[[], DrainResult]) -> DrainResult:
        self._wanted.set()
        result = NO_WORK
        while self._wanted.is_set() and self._busy.acquire(blocking=False):
            try:
                self._wanted.clear()
                self.since_ms = now_ms()
                result = work()
            finally:
                self.since_ms = None
                self._busy.release()
        return result


_runners: dict[str, _SerialRunner] = {}
_digests = Outage("collecting digests", "it is tried again")
_archive = Outage("archiving old records", "it is tried again")


def bind(settings: Settings) -> None:
    """Says where the queue is and what the consumers are set to. Touches no disk; the models are bound elsewhere."""
    global retention, archiver
    broker.bind(settings)
    consumers.clear()
    retention = Retention(settings, consumers.values())
    archiver = Archiver(settings) if settings.database_url is None else Partitioner(settings)
    # In this order when one thread does all: who waits for what most.
    for consumer in (
        NotifyConsumer(),
        AdminWatchConsumer(),
        AnnouncementConsumer(),
        PostCountsConsumer(),
        ActivityConsumer(settings.activity_sample),
        SearchIndexConsumer(),
    ):
        consumers[consumer.name] = consumer
        _runners[consumer.name] = _SerialRunner(consumer.name)


def request(consumer: str) -> bool:
    """Queues a drain of the consumer unless one is waiting already; tells whether it did. Some 0.1 ms, not for the loop.

    Raises broker.QUEUE_ERRORS errors when the queue can't be used.
    """
    return _queue_once(consumer, lambda: drain(consumer))


def _queue_once(name: str, put: Callable[[], object]) -> bool:
    if not huey.put_if_empty(FLAG + name, time.time()):
        return False
    try:
        put()
    except BaseException:
        with contextlib.suppress(*QUEUE_ERRORS):
            huey.delete(FLAG + name)
        raise
    return True


@huey.task(context=True)  # type: ignore[untyped-decorator]
def drain(consumer: str, task: Any = None) -> None:
    """The task: drains one consumer, for up to TASK_S. `task` is Huey's own object of it."""
    with contextlib.suppress(*QUEUE_ERRORS):
        huey.delete(FLAG + consumer)  # first, so that whoever commits from now on queues another
    result = _reported(consumer, _until(TASK_S, stopping.is_set))
    if result is None:
        task.outcome = "error"
    elif result.has_more and not stopping.is_set():
        with contextlib.suppress(*QUEUE_ERRORS):  # the worker's look goes on instead
            request(consumer)


def request_mail() -> None:
    """Queues a look at the outbox, unless one is waiting already. Raises broker.QUEUE_ERRORS errors."""
    _queue_once(MAIL, send_mail)


@huey.task(priority=MAIL_PRIORITY)  # type: ignore[untyped-decorator]
def send_mail() -> None:
    """The task: wakes this worker's mailer, for whom a slow relay may take its time without holding up other tasks."""
    with contextlib.suppress(*QUEUE_ERRORS):
        huey.delete(FLAG + MAIL)
    if mailer is not None:
        mailer.wake()


@huey.periodic_task(crontab())  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Every minute, by one thread of all workers: clears away what crashes have left behind, and what has had its time.

    When there is much it takes longer than a minute. The next ones, which whoever is free takes from the queue, are over at once.
    """
    clear_stale_flags()
    with exclusive("sweep", 2 * SWEEP_S) as acquired:
        if acquired:
            stop = _until(SWEEP_S, stopping.is_set)
            retention.run(stop)
            archive(stop)


def running_work() -> list[Busy]:
    """What has gone on in this process for a second or longer."""
    before_ms = now_ms() - LONG_MS
    running = [Busy(f"drain {name}", runner.since_ms) for name, runner in _runners.items() if runner.since_ms is not None]
    if mailer is not None and (sending := mailer.sending) is not None:
        running.append(Busy(f"mail {sending.number}", sending.since_ms))
    return [one for one in running if one.since_ms < before_ms]


def run(name: str, stop: Stop = never) -> DrainResult:
    """Drains one consumer here and now; does nothing if another thread of this process does. Raises what `drain.drain` raises."""
    consumer = consumers[name]

    def work() -> DrainResult:
        result = drain_log(consumer, stop)
        if result.mails and mailer is not None:
            mailer.wake()
        return result

    return _runners[name].run(work)


def run_pending(stop: Stop = never) -> int:
    """Drains every consumer that is behind, in turns, until none is or until `stop()`, and queues mail that is due. Returns how
    many events were done and mails queued.

    A drain that fails is reported, and tried again by the next look.
    """
    done, left = 0, set(consumers)
    while left and not stop():
        left &= set(consumers_to_run(consumers.values()))
        for name in [name for name in consumers if name in left]:
            result = _reported(name, _until(TURN_S, stop))
            if result is None or not (result.events or result.rows):
                left.discard(name)
            else:
                done += result.events
    return done + _collect_mail(stop)


def _collect_mail(stop: Stop) -> int:
    """Queues digests and other mail that is due now; returns how many."""
    try:
        queued = digests.collect(stop)
    except Exception as error:
        _digests.record_failure(error)
        return 0
    _digests.record_success()
    if queued and mailer is not None:
        mailer.wake()
    return queued


def _reported(name: str, stop: Stop) -> DrainResult | None:
    """Runs a drain; None when it failed, which is told once as long as it goes on."""
    runner = _runners[name]
    try:
        result = run(name, stop)
    except Exception as error:
        runner.outage.record_failure(error)
        return None
    runner.outage.record_success()
    return result


def clear_stale_flags() -> None:
    """Takes away flags of tasks that a crash has swallowed. Raises broker.QUEUE_ERRORS errors."""
    for name in (*consumers, MAIL):
        raw = huey.storage.peek_data(FLAG + name)
        if raw is not EmptyData and not 0 <= time.time() - huey.serializer.deserialize(raw) < STALE_FLAG_S:
            huey.delete(FLAG + name)


def archive(stop: Stop = never) -> None:
    """Moves old records to the archive. What fails is told, and tried again; the records are where they were."""
    began = time.monotonic()
    try:
        moved = archiver.run(stop, stopping.wait)
    except Exception as error:
        _archive.record_failure(error)
    else:
        _archive.record_success()
        if moved:
            logger.info("old records have left their tables", moved=moved, seconds=round(time.monotonic() - began, 3))


def _until(seconds: float, stop: Stop) -> Stop:
    deadline = time.monotonic() + seconds
    return lambda: stop() or time.monotonic() > deadline
