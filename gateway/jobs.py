"""The work behind, for admins: how far it is, what failed, and trying again."""

from __future__ import annotations

import contextlib
from typing import Any

from gateway.admin import AdminHandler
from jobs import gauges, tasks
from jobs.backlog import standing
from jobs.broker import NAME, UNUSABLE
from models import deadwork, email, fanout, worker
from models.clock import now_ms

SHOWN = 200


class Jobs(AdminHandler):
    """How far each consumer of the log is, mail that waits, announcements, and what was given up on."""

    async def get(self) -> None:
        """200 `{"queues":[…],"workers":[…],"consumers":[…],"mail":{…},"fanouts":[…],"dead":[…],"degraded":[…]}`."""
        queues = await self.services.read(_queues)
        workers = await self.services.read(worker.listed)
        consumers = await self.services.read(standing, list(tasks.consumers.values()))
        dead = await self.services.read(deadwork.listed, SHOWN)
        waiting, since_ms = await self.services.read(email.waiting)
        oldest_s = max(0, now_ms() - since_ms) / 1000 if since_ms is not None else 0.0
        failing = await self.services.read(email.failing, SHOWN)
        mail = {"waiting": waiting, "oldest_s": oldest_s, "failing": failing}
        fanouts = await self.services.read(fanout.listed, SHOWN)
        found = {"queues": queues, "workers": workers, "consumers": consumers, "mail": mail, "fanouts": fanouts, "dead": dead}
        self.answer({**found, "degraded": self.services.degraded()})


def _queues() -> list[dict[str, Any]]:
    """Depth and age; nulls of a queue that can't be used now."""
    depth: int | None = None
    oldest_s: float | None = None
    with contextlib.suppress(*UNUSABLE):
        depth, oldest_s = gauges.queue_standing()
    return [{"queue": NAME, "depth": depth, "oldest_s": oldest_s}]


class JobRetry(AdminHandler):
    """Dead work that is to be tried again."""

    async def post(self, dead: str) -> None:
        """202: its drain, or the mailer, takes it up."""
        number = int(dead)
        if await self.commit(lambda log: deadwork.ask_retry(log, number)):
            self.services.wake_mail()
        else:
            self.services.wake_background()
        self.answer({}, 202)
