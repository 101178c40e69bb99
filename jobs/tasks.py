"""When drains run: as Huey tasks that somebody requested, or since somebody looked and found work. What they do is the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

from huey.constants import EmptyData

from conf import Settings
from jobs import broker
from jobs.activity import Activities
from jobs.backlog import behind
from jobs.broker import UNUSABLE, huey
from jobs.consumer import Consumer
from jobs.drain import DrainResult, Stop, never
from jobs.drain import drain as drain_log
from jobs.notify import Notify
from jobs.outage import Outage
from jobs.search import Search
from jobs.watch import Watch

TASK_S = 5.0  # a drain that takes longer queues itself again, for other tasks to have their turn
TURN_S = 1.0  # of each consumer while one thread looks after all
STALE_FLAG_S = 10.0  # a flag this old was left by a process that died; at worst two tasks are queued
FLAG = "pending:"
NOTHING = DrainResult(0, 0, False, False)

stopping = Event()  # set when this process ends; drains stop after their slice
consumers: dict[str, Consumer] = {}


class _Lane:
    """One drain of a consumer at a time in a process. Who comes while one runs has it run once more, and does not wait."""

    def __init__(self, name: str) -> None:
        self.outage = Outage(f"the drain {name}", "it is tried again")
        self._busy = Lock()
        self._wanted = Event()

    def run(self, work: Callable[[], DrainResult]) -> DrainResult:
        self._wanted.set()
        result = NOTHING
        while self._wanted.is_set() and self._busy.acquire(blocking=False):
            try:
                self._wanted.clear()
                result = work()
            finally:
                self._busy.release()
        return result


_lanes: dict[str, _Lane] = {}


def bind(settings: Settings) -> None:
    """Says where the queue is and what the consumers are set to. Touches no disk; the models are bound elsewhere."""
    broker.bind(settings)
    consumers.clear()
    # In this order when one thread does all: who waits for what most.
    for consumer in (Notify(), Watch(), Activities(settings.activity_sample), Search()):
        consumers[consumer.name] = consumer
        _lanes[consumer.name] = _Lane(consumer.name)


def request(consumer: str) -> bool:
    """Queues a drain of the consumer unless one is waiting already; tells whether it did. Some 0.1 ms, not for the loop.

    Raises broker.UNUSABLE errors when the queue can't be used.
    """
    if not huey.put_if_empty(FLAG + consumer, time.time()):
        return False
    try:
        drain(consumer)
    except BaseException:
        with contextlib.suppress(*UNUSABLE):
            huey.delete(FLAG + consumer)
        raise
    return True


@huey.task(context=True)  # type: ignore[untyped-decorator]
def drain(consumer: str, task: Any = None) -> None:
    """The task: drains one consumer, for up to TASK_S. `task` is Huey's own object of it."""
    with contextlib.suppress(*UNUSABLE):
        huey.delete(FLAG + consumer)  # first, so that whoever commits from now on queues another
    result = _reported(consumer, _until(TASK_S, stopping.is_set))
    if result is None:
        task.outcome = "error"
    elif result.more and not stopping.is_set():
        with contextlib.suppress(*UNUSABLE):  # the worker's look goes on instead
            request(consumer)


def run(name: str, stop: Stop = never) -> DrainResult:
    """Drains one consumer here and now; does nothing if another thread of this process does. Raises what `drain.drain` raises."""
    consumer = consumers[name]
    return _lanes[name].run(lambda: drain_log(consumer, stop))


def look(stop: Stop = never) -> int:
    """Drains every consumer that is behind, in turns, until none is or until `stop()`. Returns the number of events done.

    A drain that fails is reported, and tried again by the next look.
    """
    done, left = 0, set(consumers)
    while left and not stop():
        left &= set(behind(consumers.values()))
        for name in [name for name in consumers if name in left]:
            result = _reported(name, _until(TURN_S, stop))
            if result is None or not result.events:
                left.discard(name)
            else:
                done += result.events
    return done


def _reported(name: str, stop: Stop) -> DrainResult | None:
    """Runs a drain; None when it failed, which is told once as long as it goes on."""
    lane = _lanes[name]
    try:
        result = run(name, stop)
    except Exception as error:
        lane.outage.failed(error)
        return None
    lane.outage.over()
    return result


def clear_stale_flags() -> None:
    """Takes away flags of tasks that a crash has swallowed. Raises broker.UNUSABLE errors."""
    for name in consumers:
        raw = huey.storage.peek_data(FLAG + name)
        if raw is not EmptyData and not 0 <= time.time() - huey.serializer.deserialize(raw) < STALE_FLAG_S:
            huey.delete(FLAG + name)


def _until(seconds: float, stop: Stop) -> Stop:
    deadline = time.monotonic() + seconds
    return lambda: stop() or time.monotonic() > deadline
