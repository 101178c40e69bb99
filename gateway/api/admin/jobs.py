"""The work behind, for admins: how far it is, what failed, and trying again."""

from __future__ import annotations

import contextlib
from typing import Any, TypedDict

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import Accepted, describe
from jobs import gauges, tasks
from jobs.drain.backlog import consumer_lags
from jobs.queue.broker import NAME, QUEUE_ERRORS
from models.notices import announcement, outbox
from models.ops import dead_letters, worker
from models.store.clock import now_ms

MAX_ITEMS = 200


class QueueStatus(TypedDict):
    """Nulls of a queue that can't be used now."""

    queue: str
    depth: int | None
    oldest_s: float | None


class WorkerAnswer(TypedDict):
    """A worker, and what it does."""

    worker: str
    alive: bool
    started_at: str
    seen_at: str
    running: Any


class ConsumerStatus(TypedDict):
    """How far a consumer of the log is."""

    consumer: str
    position: int
    moved_at: str
    lag_s: float


class FailingMail(TypedDict):
    """A mail that could not be sent yet."""

    mail: int
    type: str
    to: str
    attempts: int
    error: str
    next_at: str


class OutboxStatus(TypedDict):
    """Mail that waits."""

    waiting: int
    oldest_s: float
    failing: list[FailingMail]


class AnnouncementStatus(TypedDict):
    """An announcement, and how many were told."""

    job: int
    title: str
    by: int
    state: str
    done: int
    total: int | None
    created_at: str
    ended_at: str | None


class DeadLetterAnswer(TypedDict):
    """What was given up on: an event that a consumer failed on, or a mail."""

    id: int
    consumer: str
    event: int | None
    type: str | None
    to: str | None
    error: str
    parked_at: str
    retrying: bool


class JobsAnswer(TypedDict):
    """The work behind."""

    queues: list[QueueStatus]
    workers: list[WorkerAnswer]
    consumers: list[ConsumerStatus]
    mail: OutboxStatus
    fanouts: list[AnnouncementStatus]
    dead: list[DeadLetterAnswer]
    degraded: list[str]


class Jobs(AdminHandler):
    """How far each consumer of the log is, mail that waits, announcements, and what was given up on."""

    @describe("See the work behind", {200: JobsAnswer})
    async def get(self) -> None:
        """200 `{"queues":[…],"workers":[…],"consumers":[…],"mail":{…},"fanouts":[…],"dead":[…],"degraded":[…]}`."""
        queues = await self.services.read(_queues)
        workers = await self.services.read(worker.all_workers)
        consumers = await self.services.read(consumer_lags, list(tasks.consumers.values()))
        dead = await self.services.read(dead_letters.newest, MAX_ITEMS)
        waiting, since_ms = await self.services.read(outbox.count_queued)
        oldest_s = max(0, now_ms() - since_ms) / 1000 if since_ms is not None else 0.0
        failing = await self.services.read(outbox.list_failing, MAX_ITEMS)
        mail = {"waiting": waiting, "oldest_s": oldest_s, "failing": failing}
        fanouts = await self.services.read(announcement.list_newest, MAX_ITEMS)
        found = {"queues": queues, "workers": workers, "consumers": consumers, "mail": mail, "fanouts": fanouts, "dead": dead}
        self.answer({**found, "degraded": self.services.degraded()})


def _queues() -> list[dict[str, Any]]:
    """Depth and age; nulls of a queue that can't be used now."""
    depth: int | None = None
    oldest_s: float | None = None
    with contextlib.suppress(*QUEUE_ERRORS):
        depth, oldest_s = gauges.queue_backlog()
    return [{"queue": NAME, "depth": depth, "oldest_s": oldest_s}]


class DeadLetterRetry(AdminHandler):
    """Dead work that is to be tried again."""

    @describe("Try dead work again", {202: Accepted})
    async def post(self, dead: str) -> None:
        """202: its drain, or the mailer, takes it up."""
        number = int(dead)
        if await self.commit(lambda tx: dead_letters.request_retry(tx, number)):
            self.services.wake_mail()
        else:
            self.services.wake_background()
        self.answer({}, 202)
