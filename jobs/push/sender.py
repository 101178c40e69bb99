"""Send the pushes that are due: a thread of each worker with a loop of its own, and a task for each push.

A push is leased, sent and then marked, as a mail is: after a kill between the service's answer and the mark it is sent again when
the lease has expired, with the same Topic (promise 5: at least once). One transaction records what was sent and leases the next. A
service that does not answer occupies its own places only, and the loop waits for the store on another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import structlog

from conf import Settings
from jobs.infra.outage import Outage
from jobs.push.content import PushComposer, PushPlan, Ready
from jobs.push.identification import Identification
from jobs.push.service import MAX_TO_SERVICE, Answer, PushService, encrypted
from metrics.declared import PUSH_SECONDS, PUSHES_TOTAL
from models.chat import unread_texts
from models.log import event
from models.log.event import Transaction
from models.notices import push_outbox, pushes
from models.notices.notification import mark_mail_only_read
from models.notices.push_outbox import DuePush
from models.store.backoff import Backoff
from models.store.database import disconnect, engine

POLL_INTERVAL_S = 0.5  # between two checks of the outbox without a wake-up
RETRY_S = 1.0
CORRECT_S = 60.0  # from one search for pushes that a clock which was ahead has planned to the next
STOP_S = 5.0  # for which the pushes that are being sent may go on at the end
MAX_LEASED = 50  # at a time
MAX_IN_FLIGHT = 256
MAX_UNPROVEN = 128  # of them to services that have not answered yet: anybody may name some that never will
MAX_EXCLUDED_HOSTS = 500
MAX_SERVICES, SERVICE_KEPT_S, FORGET_S = 2_000, 600.0, 10.0
MAX_DEFERRAL_MS = 6 * 3_600_000  # a push that its service does not take for so long is given up
PUSH_BACKOFF = Backoff(2.0, 1800.0, jitter=(0.75, 1.25))  # of one push, by its attempts
MAX_REFUSED, MAX_UNREACHABLE = 3, 50  # pushes given up in a row, after which a subscription ends
PUSH_OUTCOMES = ("sent", "recalled", "deferred", "dead", "gone", "dropped")
GONE, TOO_LARGE, UNAUTHORIZED = (404, 410), 413, (401, 403)
RETRIED = (408, 425, 429)  # and all from 500 on

logger = structlog.get_logger("jobs")
T = TypeVar("T")


class PushResult(NamedTuple):
    """The outcome of an attempt: sent, recalled, gone (the subscription), deferred or dead; and why."""

    ready: Ready
    outcome: str
    error: str = ""
    retry_s: float = 0.0


class PushSender:
    """Sends pushes. `start`, `wake` and `stop` are called by the worker, on other threads. It does nothing while `enabled` returns
    False."""

    def __init__(self, settings: Settings, enabled: Callable[[], bool] = lambda: True) -> None:
        self._settings = settings
        self._enabled = enabled
        self._holder_id = secrets.token_hex(8)
        self._composer = PushComposer(settings.base_url, has_content=settings.push_content)
        self._identification = Identification(settings)
        self._outage = Outage("pushes", "they are sent later")
        self._store = ThreadPoolExecutor(1, "pushes-store")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pushes", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._services: dict[str, PushService] = {}  # by host
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[PushResult] = []  # that are not recorded yet
        self._correct_at = self._forget_at = 0.0  # time.monotonic()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the pushes that are being sent."""
        self._stopping.set()
        self.wake()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Have the thread check the outbox at once."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._woken.set)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._run())
            except Exception as error:  # of any kind: the thread must live, and the next pass may succeed
                self._outage.record_failure(error)
                self._store.submit(disconnect)
                self._stopping.wait(RETRY_S)
        self._store.submit(disconnect)
        self._store.shutdown()

    async def _in_store(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function on the thread that has a connection to the store."""
        return await asyncio.get_running_loop().run_in_executor(self._store, lambda: function(*args))

    async def _run(self) -> None:
        """Send until the worker stops. Raises the store's errors."""
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._services, self._tasks = {}, set()
        try:
            while not self._stopping.is_set():
                if not (self._enabled() and await self._step(MAX_LEASED)):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), POLL_INTERVAL_S)
                self._woken.clear()
                self._outage.record_success()
        finally:
            self._loop = None
            await self._end()

    async def _end(self) -> None:
        """Wait for what is being sent, and record it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for service in self._services.values():
            service.close()
        await self._step(0)

    async def _step(self, limit: int) -> bool:
        """Record what was sent and begin to send what is due; return whether anything was due. Raises the store's errors."""
        results, self._results = self._results, []
        free = self._free()
        limit = min(limit, MAX_IN_FLIGHT - len(self._tasks))
        try:
            due, leased = await self._in_store(self._exchange, results, free, self._left_for_unproven(), limit)
        except BaseException:
            self._results = results + self._results
            raise
        for ready in leased:
            self._begin(ready)
        self._forget_services()
        return due

    def _free(self) -> dict[str, int]:
        """host -> how many pushes it may be sent now, of the known services."""
        left = self._left_for_unproven()
        return {host: service.free if service.has_answered else min(service.free, left) for host, service in self._services.items()}

    def _left_for_unproven(self) -> int:
        return max(0, MAX_UNPROVEN - sum(service.in_flight for service in self._services.values() if not service.has_answered))

    def _begin(self, ready: Ready) -> None:
        host = ready.push.host
        service = self._services.get(host)
        if service is None:
            service = self._services[host] = PushService(ready.push.endpoint, self._settings)
        service.in_flight += 1
        task = asyncio.create_task(self._send(service, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, service: PushService, ready: Ready) -> None:
        """Make one attempt, with its metrics and log line."""
        began = time.perf_counter()
        try:
            result = await self._result(service, ready)
        finally:
            service.in_flight -= 1
        seconds = time.perf_counter() - began
        PUSHES_TOTAL.labels(result.outcome).inc()
        PUSH_SECONDS.labels(result.outcome).observe(seconds)
        log = logger.warning if result.outcome == "dead" else logger.info
        about = {"again_in_s": round(result.retry_s)} if result.outcome == "deferred" else {}
        why = {"error": result.error} if result.error else {}
        log(f"push_{result.outcome}", **_log_fields(ready.push), seconds=round(seconds, 3), **about, **why)
        self._results.append(result)
        self._woken.set()

    async def _result(self, service: PushService, ready: Ready) -> PushResult:
        try:
            answer = await service.post(ready.push, encrypted(ready.push, ready.payload), self._identification)
            if answer.status == TOO_LARGE and ready.short != ready.payload:
                answer = await service.post(ready.push, encrypted(ready.push, ready.short), self._identification)
        except Exception as error:  # a defect in the code or the keys of this subscription; the others must go on
            logger.exception("push_not_encrypted", **_log_fields(ready.push))
            return PushResult(ready, "dead", f"{type(error).__name__}: {error}")
        return result_of(ready, answer)

    def _exchange(
        self, results: Sequence[PushResult], free: Mapping[str, int], left_for_unknown: int, limit: int
    ) -> tuple[bool, list[Ready]]:
        """Record results and lease pushes that are due; return whether there were any, and those to be sent. It runs on the thread
        that has a connection to the store."""
        self._identification.load()
        self._correct_times()
        full = [host for host, places in free.items() if places <= 0][:MAX_EXCLUDED_HOSTS]
        due = push_outbox.list_due(engine().now_ms(), full, limit) if limit > 0 else []
        chosen = _within(due, free, left_for_unknown)
        plan = self._composer.plan(chosen) if chosen else PushPlan([], [], [])
        if not (results or any(plan)):
            return False, []
        with event.transaction(appends=False, durable=False) as tx:
            for result in results:
                self._record(tx, result)
            shown = [message for result in results if (message := result.ready.message) is not None]
            pushes.recall_shown(tx, pushes.showing(unread_texts.deleted(shown)))  # during the attempt
            for push in plan.dropped:
                push_outbox.drop(tx, push)
            for push, until_ms in plan.postponed:
                push_outbox.postpone(tx, push, until_ms)
            acquired = push_outbox.acquire(tx, [ready.push for ready in plan.ready], self._holder_id)
        PUSHES_TOTAL.labels("dropped").inc(len(plan.dropped))
        leased = [ready._replace(push=_tried(ready.push)) for ready in plan.ready if ready.push.id in acquired]
        return bool(chosen), leased

    def _record(self, tx: Transaction, result: PushResult) -> None:
        push = result.ready.push
        match result.outcome:
            case "sent" | "recalled":
                push_outbox.mark_sent(tx, push, result.ready.message)
                if result.ready.is_last:
                    mark_mail_only_read(tx, [push.notification])
            case "gone":
                push_outbox.end_subscription(tx, push)
            case "deferred" if tx.now_ms - push.tried_from_ms <= MAX_DEFERRAL_MS:
                push_outbox.defer(tx, push, self._holder_id, int(result.retry_s * 1000), result.error)
            case outcome:
                max_failures = MAX_REFUSED if outcome == "dead" else MAX_UNREACHABLE
                if push_outbox.abandon(tx, push, result.error, max_failures):
                    logger.warning("push_subscription_ended", **_log_fields(push), error=result.error)

    def _correct_times(self) -> None:
        """Make pushes due that were planned while the store's clock was ahead, once in CORRECT_S."""
        if time.monotonic() < self._correct_at:
            return
        self._correct_at = time.monotonic() + CORRECT_S
        if push_outbox.has_future(engine().now_ms()):
            with event.transaction(appends=False, durable=False) as tx:
                push_outbox.make_future_due(tx)

    def _forget_services(self) -> None:
        """Close connections that are stale, and forget services that were not used for long; of too many all that are idle."""
        now = time.monotonic()
        if now < self._forget_at and len(self._services) <= MAX_SERVICES:
            return
        self._forget_at = now + FORGET_S
        kept_s = SERVICE_KEPT_S if len(self._services) <= MAX_SERVICES else 0.0
        for host, service in list(self._services.items()):
            service.close_stale()
            if not service.in_flight and now - service.used_at > kept_s:
                self._services.pop(host).close()


def result_of(ready: Ready, answer: Answer) -> PushResult:
    """Return the outcome of an attempt from its answer. A pure function."""
    push, status = ready.push, answer.status
    if status is not None and 200 <= status < 300:
        return PushResult(ready, "recalled" if push.recall else "sent")
    if status in GONE:
        return PushResult(ready, "gone", f"answered {status}")
    error = answer.error or f"answered {status}"
    if status in UNAUTHORIZED:
        error += ": the browser has subscribed with another key than this installation's"
    if answer.refused or (status is not None and status < 500 and status not in RETRIED):
        return PushResult(ready, "dead", error)
    return PushResult(ready, "deferred", error, max(PUSH_BACKOFF.delay_s(push.attempts), answer.retry_after_s))


def _within(due: Sequence[DuePush], free: Mapping[str, int], left_for_unknown: int) -> list[DuePush]:
    """Those of the pushes that their services may be sent now; to unknown ones, so many together."""
    counts: Counter[str] = Counter()
    chosen, unknown = [], 0
    for push in due:
        is_known = push.host in free
        if counts[push.host] < free.get(push.host, MAX_TO_SERVICE) and (is_known or unknown < left_for_unknown):
            counts[push.host] += 1
            unknown += not is_known
            chosen.append(push)
    return chosen


def _tried(push: DuePush) -> DuePush:
    return push._replace(attempts=push.attempts + 1)


def _log_fields(push: DuePush) -> dict[str, Any]:
    """Return the fields that log lines have of a push: never its text, and of the endpoint, which is a secret, the host."""
    fields: dict[str, Any] = {"push": push.id, "subscription": push.subscription, "service": push.host, "tries": push.attempts}
    return fields | {"user": push.user, "notification": push.notification}
