"""Huey's tasks, and the same work without Huey.

A drain of the log runs in one of two ways, which do the same work: as the task `drain`, which a gateway queues after a commit, or
in `run_pending`, which the worker calls twice a second and which reads from the store which consumers have events to process. So
the queue only makes the work start sooner; a lost task loses no work.

The names of the tasks and of the flags are stored in queues. They must not change: during a rolling restart, old gateways request
tasks of new workers.
"""

from __future__ import annotations

import contextlib
import math
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
from jobs.consumers.bursts import notify_groups
from jobs.consumers.deletions import DeletionsConsumer
from jobs.consumers.host_notices import HostNoticeConsumer
from jobs.consumers.imported_search import ImportedSearchConsumer
from jobs.consumers.members import MembersConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.post_counts import PostCountsConsumer
from jobs.consumers.search_index import SearchIndexConsumer
from jobs.consumers.unreachable import UnreachableConsumer
from jobs.consumers.unseen import notify_unseen
from jobs.consumers.withdrawals import WithdrawalsConsumer
from jobs.drain.backlog import consumers_to_run
from jobs.drain.consumer import Consumer
from jobs.drain.drain import DrainResult, Stop, never
from jobs.drain.drain import drain as drain_log
from jobs.drain.stats import DrainStats
from jobs.infra.outage import Outage
from jobs.mail import digests
from jobs.mail.mailer import Mailer
from jobs.pictures.processor import PictureProcessor
from jobs.push.sender import PushSender
from jobs.queue import broker
from jobs.queue.broker import QUEUE_ERRORS, huey
from jobs.queue.scheduler import exclusive
from jobs.upkeep.archive import Archiver
from jobs.upkeep.partitioner import Partitioner
from jobs.upkeep.retention import Retention
from models.ops.worker import Busy
from models.store.clock import now_ms

MAX_TASK_S = 5.0  # a drain that takes longer queues itself again, so that other tasks can run in between
MAX_SWEEP_S = 120.0  # for retention and archive together; the rest waits for the next minute
MAX_CONSUMER_S = 1.0  # of each consumer in turn, while one thread runs them all
MAX_PENDING_S = 2.0  # after which that thread begins no further round of them: it renews leases of 15 s, too
STALE_FLAG_S = 10.0  # an older flag was left by a process that died; if it was not, two tasks are queued
FLAG = "pending:"  # before a task's name: it is queued and not yet begun
MAIL = "mail"
RELAY_DOWN = "mail relay down"  # in the list of a worker's work, from which gateways know it
MIN_REPORTED_MS = 1_000  # shorter work is not listed
MAIL_PRIORITY = 10  # before drains: users wait for their codes
NO_WORK = DrainResult(0, 0, has_more=False, overtaken=False)

logger = structlog.get_logger("jobs")

stopping = Event()  # set when this process ends: drains stop after their slice
consumers: dict[str, Consumer] = {}  # by name, in the order in which `run_pending` runs them
retention: Retention  # set by `bind`
archiver: Archiver | Partitioner  # set by `bind`
mailer: Mailer | None = None  # set in a worker
push_sender: PushSender | None = None  # set in a worker
pictures: PictureProcessor | None = None  # set in a worker


class _SerialRunner:
    """Runs one consumer's drain in one thread of this process at a time.

    A caller that arrives while it runs returns at once, and the running thread repeats the drain for it.
    """

    def __init__(self, name: str) -> None:
        self.outage = Outage(f"drain_{name}", "it is tried again")
        self.since_ms: int | None = None  # set while the drain runs
        self._busy = Lock()
        self._requested = Event()

    def run(self, work: Callable[[], DrainResult]) -> DrainResult:
        self._requested.set()
        result = NO_WORK
        while self._requested.is_set() and self._busy.acquire(blocking=False):
            try:
                self._requested.clear()
                self.since_ms = now_ms()
                result = work()
            finally:
                self.since_ms = None
                self._busy.release()
        return result


_runners: dict[str, _SerialRunner] = {}
_bursts_outage = Outage("group_notifications", "they are tried again")
_unseen_outage = Outage("unseen_messages", "they are tried again")
_digests_outage = Outage("digests", "they are tried again")
_archive_outage = Outage("archiving", "it is tried again")


def bind(settings: Settings) -> None:
    """Create the consumers and set where the queue is. Touches no disk; the models are bound by `models.store.database.connect`."""
    global retention, archiver
    broker.bind(settings)
    consumers.clear()
    retention = Retention(settings, consumers.values())
    archiver = Archiver(settings) if settings.database_url is None else Partitioner(settings)
    for consumer in (  # in this order, since users wait for notifications more than for search
        MembersConsumer(),
        NotifyConsumer(),
        WithdrawalsConsumer(),
        AdminWatchConsumer(),
        HostNoticeConsumer(),
        AnnouncementConsumer(),
        UnreachableConsumer(),
        PostCountsConsumer(),
        ActivityConsumer(settings.activity_sample),
        SearchIndexConsumer(),
        ImportedSearchConsumer(),
        DeletionsConsumer(settings),
    ):
        consumers[consumer.name] = consumer
        _runners[consumer.name] = _SerialRunner(consumer.name)


# The tasks, and requests for them


def request(consumer: str) -> bool:
    """Queue a drain of a consumer unless one is queued already; returns whether it was queued. Takes 0.1 ms, so not on the loop.

    Raises broker.QUEUE_ERRORS.
    """
    return _queue_once(consumer, lambda: drain(consumer))


def request_mail() -> None:
    """Queue the task that sends mail, unless it is queued already. Raises broker.QUEUE_ERRORS."""
    _queue_once(MAIL, send_mail)


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
    """Task: drain one consumer for up to MAX_TASK_S. `task` is Huey's object of this call."""
    with contextlib.suppress(*QUEUE_ERRORS):
        huey.delete(FLAG + consumer)  # before the work: events committed from now on need another task
    result = _run_reported(consumer, _until(MAX_TASK_S, stopping.is_set))
    if result is None:
        task.outcome = "error"
    elif result.has_more and not stopping.is_set():
        with contextlib.suppress(*QUEUE_ERRORS):  # `run_pending` does the rest
            request(consumer)


@huey.task(priority=MAIL_PRIORITY)  # type: ignore[untyped-decorator]
def send_mail() -> None:
    """Task: wake this worker's mailer, whose own thread may wait for a slow relay without delaying other tasks."""
    with contextlib.suppress(*QUEUE_ERRORS):
        huey.delete(FLAG + MAIL)
    if mailer is not None:
        mailer.wake()


@huey.periodic_task(crontab())  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Task of every minute: delete what is no longer kept, archive old records, and clear flags that crashes have left.

    One thread of all workers runs it. It may take longer than a minute; the sweeps that are queued meanwhile return at once.
    """
    clear_stale_flags()
    with exclusive("sweep", 2 * MAX_SWEEP_S) as acquired:
        if acquired:
            stop = _until(MAX_SWEEP_S, stopping.is_set)
            retention.run(stop)
            archive(stop)


def clear_stale_flags() -> None:
    """Delete the flags of tasks that were lost in a crash. Raises broker.QUEUE_ERRORS."""
    for name in (*consumers, MAIL):
        raw = huey.storage.peek_data(FLAG + name)
        if raw is not EmptyData and not 0 <= time.time() - huey.serializer.deserialize(raw) < STALE_FLAG_S:
            huey.delete(FLAG + name)


def archive(stop: Stop = never) -> None:
    """Move old records to the archive. A failure is logged and tried again by the next sweep; the records stay where they were."""
    began = time.monotonic()
    try:
        moved = archiver.run(stop, stopping.wait)
    except Exception as error:
        _archive_outage.record_failure(error)
        return
    _archive_outage.record_success()
    if moved:
        logger.info("archive_run", moved=moved, seconds=round(time.monotonic() - began, 3))


# The work itself, in the calling thread


def run(name: str, stop: Stop = never) -> DrainResult:
    """Drain one consumer; returns NO_WORK when another thread of this process does it. Raises the errors of `drain.drain`."""
    consumer = consumers[name]

    def work() -> DrainResult:
        result = drain_log(consumer, stop)
        _wake_senders(result)
        if result.pictures and pictures is not None:
            pictures.wake()
        return result

    return _runners[name].run(work)


def _wake_senders(done: DrainResult | DrainStats) -> None:
    """Have mail and pushes sent that a drain may have queued."""
    if done.mails and mailer is not None:
        mailer.wake()
    if done.rows and push_sender is not None:
        push_sender.wake()


def run_pending(stop: Stop = never, max_s: float = math.inf) -> int:
    """Drain all consumers that have events to process, notify large groups and of what is unseen, and queue the mail that is due,
    until nothing is left or `stop()`. After `max_s` seconds no further round of the consumers begins; the one that runs is
    completed.

    Returns the number of events processed, members of large groups notified and mails queued. A drain that fails is logged, and
    tried again by the next call.
    """
    events, remaining = 0, set(consumers)
    deadline = time.monotonic() + max_s
    while not stop():
        remaining &= set(consumers_to_run(consumers.values(), passes_over=True))
        for name in [name for name in consumers if name in remaining]:
            result = _run_reported(name, _until(MAX_CONSUMER_S, stop))
            if result is None or not (result.events or result.rows):
                remaining.discard(name)
            else:
                events += result.events
        notified = _notify(notify_groups, _bursts_outage, _until(MAX_CONSUMER_S, stop))
        notified += _notify(notify_unseen, _unseen_outage, _until(MAX_CONSUMER_S, stop))
        events += notified
        if not (remaining or notified) or time.monotonic() >= deadline:
            break
    return events + _collect_digests(_until(MAX_CONSUMER_S, stop) if math.isfinite(max_s) else stop)


def _notify(work: Callable[[Stop], DrainStats], outage: Outage, stop: Stop) -> int:
    """Notify members of large groups, or of messages that they have not seen; returns their number."""
    try:
        done = work(stop)
    except Exception as error:
        outage.record_failure(error)
        return 0
    outage.record_success()
    _wake_senders(done)
    return done.rows


def _collect_digests(stop: Stop) -> int:
    """Queue digests and other mail that is due; returns their number."""
    try:
        queued = digests.collect(stop)
    except Exception as error:
        _digests_outage.record_failure(error)
        return 0
    _digests_outage.record_success()
    if queued and mailer is not None:
        mailer.wake()
    return queued


def _run_reported(name: str, stop: Stop) -> DrainResult | None:
    """Run a drain; a failure is logged, once while it lasts, and None is returned."""
    outage = _runners[name].outage
    try:
        result = run(name, stop)
    except Exception as error:
        outage.record_failure(error)
        return None
    outage.record_success()
    return result


def running_work() -> list[Busy]:
    """List the drains and mails that this process has been working on for MIN_REPORTED_MS or longer, and a relay that is down."""
    before_ms = now_ms() - MIN_REPORTED_MS
    running = [Busy(f"drain {name}", runner.since_ms) for name, runner in _runners.items() if runner.since_ms is not None]
    if mailer is not None:
        running += [Busy(f"mail {sending.number}", sending.since_ms) for sending in list(mailer.sending.values())]
    if mailer is not None and (since_ms := mailer.relay_down_since_ms) is not None:
        running.append(Busy(RELAY_DOWN, since_ms))
    return [work for work in running if work.since_ms < before_ms]


def _until(seconds: float, stop: Stop) -> Stop:
    deadline = time.monotonic() + seconds
    return lambda: stop() or time.monotonic() > deadline
