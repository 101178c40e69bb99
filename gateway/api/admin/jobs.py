"""Background work, for admins: its progress, its failures, and retries."""

from __future__ import annotations

import contextlib
from typing import Any, TypedDict

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import Accepted, describe
from jobs import gauges, tasks
from jobs.drain.backlog import consumer_lags
from jobs.queue.broker import NAME, QUEUE_ERRORS
from models.accounts import deletion
from models.chat import additions
from models.hooks import webhook
from models.notices import announcement, host_notices, outbox, push_outbox
from models.ops import dead_letters, worker
from models.store.clock import now_ms

MAX_ITEMS = 200


class QueueStatus(TypedDict):
    """A queue; nulls if it is not reachable at present."""

    queue: str
    depth: int | None
    oldest_s: float | None


class WorkerAnswer(TypedDict):
    """A worker, and the task that it runs."""

    worker: str
    alive: bool
    started_at: str
    seen_at: str
    running: Any


class ConsumerStatus(TypedDict):
    """The position of a consumer in the event log, and its lag."""

    consumer: str
    position: int
    moved_at: str
    lag_s: float


class FailingMail(TypedDict):
    """A mail that could not be sent so far."""

    mail: int
    type: str
    to: str
    attempts: int
    error: str
    next_at: str


class OutboxStatus(TypedDict):
    """The mails that wait in the outbox."""

    waiting: int
    oldest_s: float
    failing: list[FailingMail]


class AnnouncementStatus(TypedDict):
    """An announcement, and the number of users that it has reached."""

    job: int
    title: str
    by: int
    state: str
    done: int
    total: int | None
    created_at: str
    ended_at: str | None


class HostNoticeStatus(TypedDict):
    """A notification that the host requested, and the number of users that it has reached.

    `receivers` is the topic, conversation or role, null for a list of users; `state` is waiting (until `due_at`), running,
    failed (it is among the dead letters) or done.
    """

    job: int
    event: int
    type: str
    audience: str
    receivers: str | None
    state: str
    done: int
    total: int | None
    due_at: str | None
    created_at: str
    ended_at: str | None


class MemberAdditionStatus(TypedDict):
    """A large conversation, and the number of its other members who were added after its creation."""

    job: int
    conversation: int
    state: str
    done: int
    total: int
    created_at: str
    ended_at: str | None


class DeletionStatus(TypedDict):
    """An account that is deleted. `rows` is the receipt: the rows that were emptied or deleted, by table."""

    job: int
    user: int
    by: int | None
    texts: str
    state: str
    rows: dict[str, int]
    created_at: str
    ended_at: str | None


class DeadLetterAnswer(TypedDict):
    """A dead letter: an event that a consumer could not process, or a mail that could not be sent."""

    id: int
    consumer: str
    event: int | None
    type: str | None
    to: str | None
    error: str
    parked_at: str
    retrying: bool


class WebhookStatus(TypedDict):
    """A webhook, and how far it is behind."""

    webhook: int
    url: str
    state: str
    lag_s: float
    failures: int
    last_error: str | None
    next_attempt_at: str | None


class PushOutboxStatus(TypedDict):
    """The pushes that are not sent yet, also those that wait for the end of quiet hours."""

    waiting: int
    oldest_s: float


class JobsAnswer(TypedDict):
    """The state of background work."""

    queues: list[QueueStatus]
    workers: list[WorkerAnswer]
    consumers: list[ConsumerStatus]
    mail: OutboxStatus
    pushes: PushOutboxStatus
    fanouts: list[AnnouncementStatus]
    notices: list[HostNoticeStatus]
    additions: list[MemberAdditionStatus]
    webhooks: list[WebhookStatus]
    deletions: list[DeletionStatus]
    dead: list[DeadLetterAnswer]
    degraded: list[str]


class Jobs(AdminHandler):
    """The state of queues, workers, consumers, outbox, announcements, the host's notifications and dead letters."""

    @describe("Read the state of background work", {200: JobsAnswer})
    async def get(self) -> None:
        """Answer 200 with `{"queues":[…],"workers":[…],"consumers":[…],"mail":{…},"pushes":{…},"fanouts":[…],
        "notices":[…],"additions":[…],"webhooks":[…],"deletions":[…],"dead":[…],"degraded":[…]}`."""
        queues = await self.read(_queues)
        workers = await self.read(worker.all_workers)
        consumers = await self.read(consumer_lags, list(tasks.consumers.values()))
        dead = await self.read(dead_letters.newest, MAX_ITEMS)
        waiting, since_ms = await self.read(outbox.count_queued)
        oldest_s = max(0, now_ms() - since_ms) / 1000 if since_ms is not None else 0.0
        failing = await self.read(outbox.list_failing, MAX_ITEMS)
        pushes, pushes_since_ms = await self.read(push_outbox.count_queued)
        pushes_oldest_s = max(0, now_ms() - pushes_since_ms) / 1000 if pushes_since_ms is not None else 0.0
        mail = {"waiting": waiting, "oldest_s": oldest_s, "failing": failing}
        fanouts = await self.read(announcement.list_newest, MAX_ITEMS)
        added = await self.read(additions.list_newest, MAX_ITEMS)
        hooks = await self.read(_webhooks)
        degraded = self.services.health.degraded()
        self.answer(
            {
                "queues": queues,
                "workers": workers,
                "consumers": consumers,
                "mail": mail,
                "pushes": {"waiting": pushes, "oldest_s": pushes_oldest_s},
                "fanouts": fanouts,
                "notices": await self.read(host_notices.list_newest, MAX_ITEMS),
                "additions": added,
                "webhooks": hooks,
                "deletions": await self.read(deletion.list_newest, MAX_ITEMS),
                "dead": dead,
                "degraded": degraded,
            }
        )


def _queues() -> list[dict[str, Any]]:
    """The depth of the queue and the age of its oldest task; nulls if it is not reachable at present."""
    depth: int | None = None
    oldest_s: float | None = None
    with contextlib.suppress(*QUEUE_ERRORS):
        depth, oldest_s = gauges.queue_backlog()
    return [{"queue": NAME, "depth": depth, "oldest_s": oldest_s}]


def _webhooks() -> list[dict[str, Any]]:
    names = ("url", "state", "lag_s", "failures", "last_error", "next_attempt_at")
    return [{"webhook": hook.id, **{name: getattr(hook, name) for name in names}} for hook in webhook.page(None, MAX_ITEMS)]


class DeadLetterRetry(AdminHandler):
    """Retries of dead letters."""

    @describe("Retry a dead letter", {202: Accepted})
    async def post(self, dead: str) -> None:
        """Answer 202. The drain of its consumer, or the mailer, processes it again."""
        number = int(dead)
        if await self.commit(lambda tx: dead_letters.request_retry(tx, number)):
            self.services.wake_mail()
        else:
            self.services.wake_background()
        self.answer({}, 202)
