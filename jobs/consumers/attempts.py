"""Attempts at work that a consumer has listed: what fails is postponed, and after a few times parked; the other work goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import structlog

from jobs.drain.drain import TRIES_PER_EVENT, error_text
from jobs.drain.pacing import transaction
from jobs.rules.rules import MESSAGE
from metrics.declared import DEAD_EVENTS_TOTAL
from models.log.checkpoint import CheckpointMovedError
from models.log.event import Transaction
from models.ops import dead_letters
from models.store.backoff import Backoff
from models.store.database import is_store_error

RETRIES = Backoff(5.0, 30.0, factor=6.0)  # of work that fails, up to TRIES_PER_EVENT

logger = structlog.get_logger("jobs")


class ListedWork(NamedTuple):
    """One piece of work about messages of a conversation. `key` names it, `event` is the one that its dead letter lists (None: it
    is not parked), and `postpone` plans it again after so many ms."""

    key: int
    conversation: int
    run: Callable[[], None]
    event: Callable[[], int | None]
    postpone: Callable[[Transaction, int], None]


class Attempts:
    """The attempts at one kind of work. `name` is of its metrics, log lines and dead letters, as if it was a consumer."""

    def __init__(self, name: str, failed_key: str) -> None:
        self._name = name
        self._failed_key = failed_key  # of the log line
        self._failures: Counter[int] = Counter()  # in a row, by key; a worker that starts counts anew

    def run(self, work: ListedWork) -> None:
        """Do work once. Raises the store's errors; after another one it is postponed or parked."""
        try:
            work.run()
        except CheckpointMovedError:  # another worker does it
            return
        except Exception as error:
            if is_store_error(error):
                raise
            self._failures[work.key] += 1
            event = work.event()
            if event is not None and (self._failures[work.key] >= TRIES_PER_EVENT or dead_letters.find(self._name, event)):
                self._park(work, event, error)
            else:
                self._postpone(work, error)
        else:
            self._failures.pop(work.key, None)

    def _postpone(self, work: ListedWork, error: Exception) -> None:
        delay_s = RETRIES.delay_s(self._failures[work.key])
        logger.error(self._failed_key, conversation=work.conversation, retry_s=delay_s, exc_info=error)
        with transaction(appends=False) as tx:
            work.postpone(tx, int(delay_s * 1000))

    def _park(self, work: ListedWork, event: int, error: Exception) -> None:
        with transaction(appends=False) as tx:
            dead = dead_letters.find(self._name, event)
            if dead is None:
                dead_letters.park(tx, self._name, event, error_text(error))
            else:
                dead_letters.park_again(tx, dead, error_text(error))
        self._failures.pop(work.key, None)
        if dead is None:
            DEAD_EVENTS_TOTAL.labels(self._name).inc()
        key = "event_parked" if dead is None else "parked_event_failed"
        fields = {"event_id": event, "type": MESSAGE.event_type, "conversation": work.conversation}
        logger.error(key, consumer=self._name, **fields, exc_info=error)
