"""What is kept for how long. All else is cleared away every minute by one worker of all, a few rows a transaction, and for a
few seconds at most, so that nobody is held up; what is left waits for the next time.

Whatever admins or people have made themselves (accounts, conversations, messages, posts) stays until they delete it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from conf import Settings
from jobs.drain.consumer import Consumer
from jobs.drain.pacing import transaction
from models.accounts import registration
from models.chat import presence
from models.identity import code, token
from models.log import checkpoint, trimming
from models.log.event import Transaction
from models.notices import announcement, causes, outbox, pending_mail
from models.ops import dead_letters
from models.store.clock import now_ms

DAY_MS = 24 * 3600 * 1000
SENT_DAYS = 30  # mails that went, digests that were made, visits
READ_DAYS = 90  # notifications after they were read
OVER_DAYS = 90  # announcements that everybody was told of, mails that were given up on
UNUSED_DAYS = 400  # sessions: more than a year, for what is used once a year
ROWS_PER_TRANSACTION = 200
WORK_S = 5.0  # of each kind, a run
TOKENS_A_RUN = 1_000  # are looked at

logger = structlog.get_logger("jobs")

Stop = Callable[[], bool]


class Retention:
    """What one worker clears away. `consumers` are all that read the log."""

    def __init__(self, settings: Settings, consumers: Collection[Consumer]) -> None:
        self._events_days = settings.events_keep_days
        self._consumers = consumers
        self._token = 0  # the last that was looked at

    def run(self, stop: Stop) -> None:
        """Clears away what has had its time, until nothing has, or `stop()`."""
        began = time.monotonic()
        removed = {name: self._clear(work, stop) for name, work in self._works(now_ms()).items()}
        if any(removed.values()):
            told = {name: rows for name, rows in removed.items() if rows}
            logger.info("what has had its time is cleared away", rows=told, seconds=round(time.monotonic() - began, 3))
        if not stop():
            self._end_unused(now_ms() - UNUSED_DAYS * DAY_MS)

    def _clear(self, work: Callable[[Transaction], int], stop: Stop) -> int:
        deadline, total = time.monotonic() + WORK_S, 0
        while not stop() and time.monotonic() < deadline:
            with transaction(appends=False) as tx:
                removed = work(tx)
            total += removed
            if removed < ROWS_PER_TRANSACTION:
                break
        return total

    def _works(self, now: int) -> dict[str, Callable[[Transaction], int]]:
        sent_ms, over_ms = now - SENT_DAYS * DAY_MS, now - OVER_DAYS * DAY_MS
        events_ms = now - self._events_days * DAY_MS
        read_ms = min(now - READ_DAYS * DAY_MS, events_ms - DAY_MS)  # events that could still cause them are gone first
        rows = ROWS_PER_TRANSACTION
        return {
            "sign_ups": lambda tx: registration.trim(tx, rows),
            "codes": lambda tx: code.trim(tx, rows),
            "mails": lambda tx: outbox.trim(tx, sent_ms, rows),
            "dead_codes": lambda tx: dead_letters.trim_codes(tx),
            "dead_mails": lambda tx: dead_letters.trim_mails(tx, over_ms, rows),
            "digests": lambda tx: pending_mail.trim(tx, sent_ms, rows),
            "visits": lambda tx: presence.trim(tx, sent_ms, rows),
            "announcements": lambda tx: announcement.trim(tx, over_ms, rows),
            "notifications": lambda tx: causes.trim(tx, read_ms, rows),
            "events": lambda tx: trimming.trim(tx, events_ms, self._done(), rows),
            "retried_events": lambda tx: trimming.forget_retried(tx),
        }

    def _done(self) -> int:
        """The newest event that every consumer has done, in all its parts."""
        found = []
        for consumer in self._consumers:
            parts = consumer.parts()
            positions = checkpoint.positions(parts)
            found += [positions.get(part, 0) for part in parts]
        return min(found, default=0)

    def _end_unused(self, before_ms: int) -> None:
        """Ends sessions of long ago, of some tokens a run: their gateways hear of it."""
        looked_at, unused = token.find_unused(self._token, before_ms, TOKENS_A_RUN)
        for user, tokens in unused.items():
            with transaction(appends=True) as tx:
                token.revoke_unused(tx, user, tokens, before_ms)
        self._token = looked_at
