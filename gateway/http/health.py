"""Health: whether this gateway should get requests, and which parts do not work. It is kept in memory, so that an answer costs
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from gateway.commit.committer import Committer
from gateway.commit.threads import ThreadPool
from jobs.infra.outage import Outage
from metrics.declared import DEGRADED, READY
from models import schema

CHECK_EVERY_S = 1.0
CHECK_TIMEOUT_S = 5.0  # a store that does not answer within this time counts as down
PARTS = ("queue", "bus", "limits", "mail", "workers", "hooks", "jwks")

Condition = Callable[[], bool]  # whether something does not work; it reads memory only


class HealthMonitor:
    """Checks the store once a second, and knows by `vital` and `parts` what else does not work, by name.

    While something vital fails, the gateway should get no requests. A part may fail: every promise is kept without it.
    """

    def __init__(self, read: ThreadPool, committer: Committer) -> None:
        self._read = read
        self._committer = committer
        self._schema_is_old = False
        self._readable = Outage("readiness", "this gateway gets no requests")
        self._writable = Outage("probe", "this gateway gets no requests")
        self.vital: dict[str, Condition] = {}
        self.parts: dict[str, Condition] = {}
        READY.set_function(lambda: not self.failing())
        for part in PARTS:
            DEGRADED.labels(part).set_function(partial(self._is_degraded, part))

    def failing(self) -> list[str]:
        """The vital things that fail at the moment."""
        conditions: dict[str, bool] = {
            "store": self._readable.ongoing,
            "schema": self._schema_is_old,
            "commits": self._writable.ongoing or self._committer.failing,
        }
        failing = [name for name, fails in conditions.items() if fails]
        return failing + [name for name, fails in self.vital.items() if fails() and name not in failing]

    def degraded(self) -> list[str]:
        """The parts that do not work at the moment."""
        return [name for name, fails in self.parts.items() if fails()]

    def _is_degraded(self, part: str) -> bool:
        return part in self.parts and self.parts[part]()

    async def run(self) -> None:
        """Check once a second, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Read the schema's state, and have the committer write a row if it has written nothing for a while."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                self._schema_is_old = bool(await self._read(schema.pending))
            self._readable.record_success()
        except Exception as error:  # of any kind: the store can't be read
            self._readable.record_failure(error)
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._committer.probe()
            self._writable.record_success()
        except Exception as error:
            self._writable.record_failure(error)
