"""The delivery of the log to one webhook: a task of the deliverer's loop.

It reads a slice of the log and posts its events, those of one queue one after the other, and those of several queues at a time. A
queue has what belongs to a conversation, of whichever streams, or else what is of one stream. The place moves to the event before
the first one that is not taken. An event that fails stops all others of the hook until it is tried again, so the receiver never
has an event before an earlier one of its queue.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from conf import Settings
from jobs.hooks.posting import MAX_IN_FLIGHT, Outcome, Poster, body_of, cursor_of
from models.hooks import webhook
from models.hooks.webhook import DISABLED, PAUSED, Hook, Progress
from models.log import event as log
from models.log.event import Event
from models.store import facts
from models.store.clock import now_ms
from models.store.database import engine
from models.sync import whole_log
from models.sync.catchup import Slice

MAX_EVENTS_PER_SLICE = 200
FIRST_RETRY_S, MAX_RETRY_S = 5.0, 3600.0
JITTER = 1 / 3  # a delay is that much longer at most
PAUSE_AFTER_MS = 3 * 24 * 3600 * 1000
GONE = 410

logger = structlog.get_logger("jobs")


class _About(msgspec.Struct):
    """The part of an event's data that names a conversation."""

    id: Any = None
    conversation: Any = None


ABOUT = msgspec.json.Decoder(_About)

InStore = Callable[..., Awaitable[Any]]  # runs a function on the thread that has a connection to the store


class Delivery:
    """The delivery to one webhook, as it was when the task began. `woken` is set when the log has grown."""

    def __init__(self, hook: Hook, settings: Settings, epoch: str, in_store: InStore, may_deliver: Callable[[], bool]) -> None:
        self.hook = hook
        self.woken = asyncio.Event()
        self.is_dirty = False  # whether `progress` was not written yet
        self.oldest_ms: int | None = None  # of the events that are not taken
        self.failures = hook.failures
        self._failing_since_ms, self._next_attempt_ms = hook.failing_since_ms, hook.next_attempt_ms
        self._position = self._reached = hook.position
        self._last: Outcome | None = None  # the latest one that was not written yet
        self._undone: deque[int] = deque()  # ids of the slice that were not taken, the oldest first
        self._accepted: set[int] = set()  # those of them that were taken before an older one
        self._failure: Outcome | None = None
        self._epoch, self._key = epoch, settings.secret()
        self._secrets: list[str] = []  # that sign
        self._in_store, self._may_deliver = in_store, may_deliver
        self._poster = Poster(hook.url, settings)
        self.close_stale = self._poster.close_stale  # connections

    async def run(self) -> None:
        """Deliver until cancelled, or until the hook is paused or disabled. Raises the store's errors."""
        try:
            await self._wait_for_next_attempt()
            while self._may_deliver() and await self._deliver_slice():
                pass
        finally:
            self._poster.close()

    def progress(self) -> Progress:
        """The state to be written. From now on it is not dirty."""
        self.is_dirty = False
        last, self._last = self._last, None
        status = (self.failures, self._failing_since_ms, self._next_attempt_ms)
        return Progress(self.hook.id, self.hook.rewinds, self._position, *status, last)

    async def _deliver_slice(self) -> bool:
        """Deliver the next slice, or wait until there is more. Returns False when the hook is at its end, or was changed."""
        self.woken.clear()
        found, was_changed = await self._in_store(self._read)
        if was_changed:
            return False
        if found.expired:
            await self._skip_trimmed()
            return True
        by_queue: dict[str, deque[Event]] = {}
        for event in found.events:
            by_queue.setdefault(queue_of(event), deque()).append(event)
            self._undone.append(event.id)
        while by_queue:
            self.oldest_ms = min(events[0].at_ms for events in by_queue.values())
            failure = await self._attempt(by_queue)
            if failure is not None and not await self._record_failure(failure):
                return False
            if not self._may_deliver():
                return False
        self.oldest_ms = None
        self._reached = found.position
        self._move(found.position)
        if not found.more:
            await self.woken.wait()
        return True

    def _read(self) -> tuple[Slice, bool]:
        """The next slice, and whether an admin has changed the hook. That is read last: what was changed before an event of the
        slice is valid for it, such as a new secret."""
        found = whole_log.read(self._reached, self.hook.patterns, MAX_EVENTS_PER_SLICE)
        row = webhook.find_hook(self.hook.id) if found.events else self.hook
        return found, row is None or row.settings != self.hook.settings

    async def _skip_trimmed(self) -> None:
        """Go on from what is kept: the hook was not active for longer, or a backup was restored."""
        kept_after, newest = await self._in_store(_kept)
        position = min(max(self._reached, kept_after), newest)
        logger.warning("webhook_events_skipped", webhook=self.hook.id, after=self._reached, until=position)
        self._last = Outcome(None, f"events up to {self._epoch}-{kept_after} are not kept any more and were skipped")
        self._reached = position
        self._move(position)

    async def _attempt(self, by_queue: dict[str, deque[Event]]) -> Outcome | None:
        """Post all events, or those until the first one that is not taken. Returns its outcome."""
        self._failure = None
        self._secrets = self.hook.secrets(self._key, now_ms())
        queues = iter(list(by_queue))

        async def work() -> None:
            for queue in queues:
                events = by_queue[queue]
                while events and self._failure is None and self._may_deliver():
                    await self._post(events)
                if events:
                    return
                del by_queue[queue]

        async with asyncio.TaskGroup() as group:
            for _ in range(min(MAX_IN_FLIGHT, len(by_queue))):
                group.create_task(work())
        return self._failure

    async def _post(self, events: deque[Event]) -> None:
        """Post the first of a queue's events, and drop it if it was taken."""
        outcome = await self._poster.post(self._secrets, cursor_of(self._epoch, events[0]), body_of(self._epoch, events[0]))
        if not outcome.is_accepted:
            self._failure = self._failure or outcome
            return
        self._last = outcome
        self._accepted.add(events.popleft().id)
        while self._undone and self._undone[0] in self._accepted:
            self._accepted.discard(self._undone.popleft())
        if self._undone:
            self._move(self._undone[0] - 1)
        if self.failures:
            self.failures, self._failing_since_ms, self._next_attempt_ms = 0, None, None
            self.is_dirty = True

    def _move(self, position: int) -> None:
        self.is_dirty = self.is_dirty or position > self._position
        self._position = max(self._position, position)

    async def _record_failure(self, failure: Outcome) -> bool:
        """Record a failure and wait until the next attempt. Returns False when there is none."""
        now = await self._in_store(_store_ms)
        self.failures += 1
        self._last = failure
        self._failing_since_ms = self._failing_since_ms or now
        self._next_attempt_ms = now + int(1000 * retry_delay_s(self.failures))
        await self._in_store(write, webhook.record, [self.progress()])
        logger.info("webhook_failed", webhook=self.hook.id, failures=self.failures, status=failure.status, error=failure.error)
        if failure.status == GONE:
            return await self._end(DISABLED, f"{self.hook.name} answered 410: it wants no more events.")
        if now - self._failing_since_ms >= PAUSE_AFTER_MS:
            why = f"{self.hook.name} has taken no event for three days. Nothing is lost while the log is kept."
            return await self._end(PAUSED, why)
        await self._wait_for_next_attempt()
        return True

    async def _end(self, state: str, why: str) -> bool:
        logger.warning("webhook_ended", webhook=self.hook.id, state=state)
        await self._in_store(_end, self.hook, state, why)
        return False

    async def _wait_for_next_attempt(self) -> None:
        if self._next_attempt_ms is not None:
            left_s = (self._next_attempt_ms - await self._in_store(_store_ms)) / 1000
            await asyncio.sleep(min(max(0.0, left_s), MAX_RETRY_S))


def queue_of(event: Event) -> str:
    """The name of an event's queue: its conversation, although members have some of its events on streams of their own."""
    about = ABOUT.decode(event.data)
    conversation = about.id if event.type.startswith("conversation.") else about.conversation
    return event.stream if conversation is None else f"conversation:{conversation}"


def retry_delay_s(failures: int) -> float:
    """The pause after so many failures in a row, with jitter."""
    longest = MAX_RETRY_S / (1 + JITTER)
    return min(longest, FIRST_RETRY_S * 2.0 ** min(failures - 1, 20)) * (1 + random.random() * JITTER)


async def post_test(hook: Hook, settings: Settings, epoch: str, in_store: InStore) -> None:
    """Post an event that is not in the log, and record the result."""
    number = hook.test_ms or 0
    event = Event(number, f"webhook:{hook.id}", "webhook.test", number, b'{"webhook":%d}' % hook.id)
    poster = Poster(hook.url, settings)
    try:
        body = body_of(epoch, event).replace(b'"id":"%s"' % cursor_of(epoch, event).encode(), b'"id":null')
        outcome = await poster.post(hook.secrets(settings.secret(), now_ms()), f"test-{hook.id}-{number}", body)
    finally:
        poster.close()
    await in_store(write, webhook.record_test, hook, outcome.status, outcome.error)


def write(verb: Callable[..., None], *args: Any) -> None:
    """Run a verb in a transaction that appends no event."""
    with log.transaction(appends=False, durable=False) as tx:
        verb(tx, *args)


def _end(hook: Hook, state: str, why: str) -> None:
    with log.transaction() as tx:
        webhook.end(tx, hook, state, why)


def _kept() -> tuple[int, int]:
    return facts.trimmed(), log.head()


def _store_ms() -> int:
    return engine().now_ms()
