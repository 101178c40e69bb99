"""The deliverer of webhooks: a thread of the worker with a loop of its own, and a task for each active hook.

Of several workers one delivers, under a lease. A receiver that hangs occupies its own task only, no drain waits for this thread,
and the loop waits for the store on another one. After any failure everything begins anew from the places that are stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from conf import Settings
from jobs.hooks.delivery import Delivery, post_test, write
from jobs.infra.outage import Outage
from jobs.queue.scheduler import Scheduler
from metrics.declared import WEBHOOK_LAG_SECONDS, WEBHOOKS
from models.hooks import webhook
from models.hooks.webhook import ACTIVE, STATES, Hook
from models.log import event
from models.store import facts
from models.store.clock import now_ms
from models.store.database import disconnect

LEASE_NAME = "webhooks"
FOLLOW_EVERY_S = 0.03  # how soon a delivery begins after a commit; a read of the newest id costs 0.1 ms
REFRESH_EVERY_S = 0.5  # of the list of hooks, of their places in the store, and of the gauges
SAVE_EVERY_S = 0.25  # a kill repeats the deliveries of so long
RETRY_S = 1.0
MAX_TESTS = 10  # at the same time

T = TypeVar("T")


class Deliverer:
    """Delivers the log to all webhooks. `start` and `stop` are called by the worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lease = Scheduler(LEASE_NAME)
        self._outage = Outage("webhooks", "events are delivered later")
        self._failing = Outage("webhook", "it begins anew")
        self._store = ThreadPoolExecutor(1, "webhooks-store")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
        self._deliveries: dict[int, tuple[Delivery, asyncio.Task[None]]] = {}  # by hook
        self._tests: dict[int, asyncio.Task[None]] = {}
        self._head = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after its next step."""
        self._stopping.set()

    def join(self, timeout_s: float | None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._run())
            except Exception as error:  # of any kind: the thread must live, and the next pass may succeed
                self._outage.record_failure(error)
                self._store.submit(disconnect)
                self._stopping.wait(RETRY_S)
        self._store.submit(self._release)
        self._store.shutdown()

    def _release(self) -> None:
        with contextlib.suppress(Exception):  # the lease then expires
            self._lease.release()
        disconnect()

    async def _in_store(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function on the thread that has a connection to the store."""
        return await asyncio.get_running_loop().run_in_executor(self._store, lambda: function(*args))

    async def _run(self) -> None:
        """Deliver until the worker stops. Raises the store's errors, after all tasks were ended."""
        try:
            while not self._stopping.is_set():
                await self._refresh(await self._in_store(webhook.all_hooks))
                await self._follow(has_work=bool(self._deliveries))
        finally:
            await self._end(list(self._deliveries))
            for test in self._tests.values():
                test.cancel()

    async def _refresh(self, hooks: Sequence[Hook]) -> None:
        """Begin and end the tasks of hooks as their rows say, and measure."""
        if hooks:
            await self._in_store(self._lease.renew)
        active = {hook.id: hook for hook in hooks if hook.state == ACTIVE} if self._lease.has_lease else {}
        for delivery, task in list(self._deliveries.values()):
            delivery.close_stale()
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                self._failing.record_failure(error, webhook=delivery.hook.id)  # it begins anew, and concerns no other
            row = active.get(delivery.hook.id)
            if task.done() or row is None or row.settings != delivery.hook.settings:
                await self._end([delivery.hook.id])
                active.pop(delivery.hook.id, None)  # its row may be older than what the task has written
        for number in active.keys() - self._deliveries.keys():
            await self._begin(active[number])
        if self._lease.has_lease:
            await self._begin_tests(hooks)
        if not any(task.done() for _, task in self._deliveries.values()):
            self._failing.record_success()
        self._measure(hooks)
        self._outage.record_success()

    async def _begin(self, hook: Hook) -> None:
        epoch = await self._in_store(facts.epoch)
        delivery = Delivery(hook, self._settings, epoch, self._in_store, lambda: self._lease.has_lease)
        self._deliveries[hook.id] = delivery, asyncio.create_task(delivery.run())

    async def _end(self, numbers: Sequence[int]) -> None:
        ended = [self._deliveries.pop(number) for number in numbers]
        for _, task in ended:
            task.cancel()
        await asyncio.gather(*(task for _, task in ended), return_exceptions=True)
        with contextlib.suppress(Exception):  # some events are then delivered again
            await self._save([delivery for delivery, _ in ended])

    async def _begin_tests(self, hooks: Sequence[Hook]) -> None:
        self._tests = {number: task for number, task in self._tests.items() if not task.done()}
        for hook in hooks:
            if hook.test_ms is not None and hook.id not in self._tests and len(self._tests) < MAX_TESTS:
                epoch = await self._in_store(facts.epoch)
                self._tests[hook.id] = asyncio.create_task(post_test(hook, self._settings, epoch, self._in_store))

    async def _follow(self, *, has_work: bool) -> None:
        """Wake deliveries when the log has grown and save their places, for REFRESH_EVERY_S."""
        loop = asyncio.get_running_loop()
        end, save_at = loop.time() + REFRESH_EVERY_S, loop.time() + SAVE_EVERY_S
        while not self._stopping.is_set() and (now := loop.time()) < end:
            await asyncio.sleep(FOLLOW_EVERY_S if has_work else REFRESH_EVERY_S)
            if not has_work:
                continue
            head = await self._in_store(event.head)
            if head != self._head:
                self._head = head
                for delivery, _ in self._deliveries.values():
                    delivery.woken.set()
            if now >= save_at:
                save_at = now + SAVE_EVERY_S
                await self._save([delivery for delivery, _ in self._deliveries.values()])

    async def _save(self, deliveries: Sequence[Delivery]) -> None:
        progress = [delivery.progress() for delivery in deliveries if delivery.is_dirty]
        if progress:
            await self._in_store(write, webhook.record, progress)

    def _measure(self, hooks: Sequence[Hook]) -> None:
        """Set the gauges, of the worker that delivers; the others show 0."""
        oldest = [d.oldest_ms for d, _ in self._deliveries.values() if d.oldest_ms is not None]
        WEBHOOK_LAG_SECONDS.set(max(0, now_ms() - min(oldest)) / 1000 if oldest else 0)
        mine = hooks if self._lease.has_lease else ()
        for state in STATES:
            WEBHOOKS.labels(state).set(sum(hook.state == state for hook in mine))
        WEBHOOKS.labels("failing").set(sum(delivery.failures > 0 for delivery, _ in self._deliveries.values()))
