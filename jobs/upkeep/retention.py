"""Retention: how long each kind of row is kept. Every minute, one worker of all deletes older rows.

It deletes a few rows per transaction and stops after a few seconds, so that senders are not delayed; the rest waits for the next
minute. What people and admins made themselves (accounts, conversations, messages, posts) is kept until they delete it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from conf import Settings
from jobs.drain.consumer import Consumer
from jobs.drain.pacing import transaction
from models.accounts import derived_keys, invitation, registration
from models.chat import additions, blocks, presence, reports, search
from models.files import usage
from models.hooks import webhook
from models.identity import code, ended_tokens, token
from models.log import checkpoint, trimming
from models.log.event import Transaction
from models.notices import announcement, causes, host_notices, outbox, pending_mail, push_outbox, topics
from models.ops import dead_letters
from models.store.clock import now_ms
from models.store.database import engine

DAY_MS = 24 * 3600 * 1000
SENT_DAYS = 30  # mails that were sent, digests that were queued, visits
READ_DAYS = 90  # notifications, after they were read
ENDED_DAYS = 90  # announcements that are done, mails that were given up on, reports that are closed
UNUSED_DAYS = 400  # sessions: more than a year, for devices that are used once a year; reports that nobody closes
ROWS_PER_TRANSACTION = 200
MAX_KIND_S = 5.0  # of each kind of rows, per run
ERASE_EVERY_MS = 6 * 3600 * 1000  # reads and writes the whole search index
TOKENS_PER_RUN = 1_000  # are checked

logger = structlog.get_logger("jobs")

Stop = Callable[[], bool]
Delete = Callable[[Transaction], int]  # deletes up to ROWS_PER_TRANSACTION rows, and returns their number


class Retention:
    """Deletes the rows of one store whose time is over. `consumers` are all consumers of the log."""

    def __init__(self, settings: Settings, consumers: Collection[Consumer]) -> None:
        self._events_days = settings.events_keep_days
        self._webhook_days = settings.webhook_hold_days
        self._consumers = consumers
        self._checked_token = 0  # the id that the next run begins after
        self._corrected_user = 0  # the same, of accounts

    def run(self, stop: Stop) -> None:
        """Delete old rows until none is left or `stop()`, then end sessions that nobody uses, and correct keys of accounts and
        times of a clock that was ahead."""
        began = time.monotonic()
        deleted = {name: self._delete_all(delete, stop) for name, delete in self._kinds(now_ms()).items()}
        if any(deleted.values()):
            rows = {name: count for name, count in deleted.items() if count}
            logger.info("retention_run", rows=rows, seconds=round(time.monotonic() - began, 3))
        if not stop():
            self._end_unused_sessions(now_ms() - UNUSED_DAYS * DAY_MS)
            self._reindex(stop)
            self._erase_words(stop)
            with transaction(appends=False) as tx:
                self._corrected_user = derived_keys.correct(tx, self._corrected_user)
            if pending_mail.has_future(engine().now_ms()):  # reading all that waits delays sends inside a transaction
                with transaction(appends=False) as tx:
                    pending_mail.correct_times(tx)

    def _delete_all(self, delete: Delete, stop: Stop) -> int:
        deadline, total = time.monotonic() + MAX_KIND_S, 0
        while not stop() and time.monotonic() < deadline:
            with transaction(appends=False) as tx:
                deleted = delete(tx)
            total += deleted
            if deleted < ROWS_PER_TRANSACTION:
                break
        return total

    def _kinds(self, now: int) -> dict[str, Delete]:
        sent_ms, ended_ms = now - SENT_DAYS * DAY_MS, now - ENDED_DAYS * DAY_MS
        events_ms = now - self._events_days * DAY_MS
        late_ms = events_ms - self._webhook_days * DAY_MS  # webhooks that are still behind go on after them
        read_ms = min(now - READ_DAYS * DAY_MS, events_ms - DAY_MS)  # after the events that could cause them again are gone
        limit = ROWS_PER_TRANSACTION
        return {
            "sign_ups": lambda tx: registration.trim(tx, limit),
            "expired_tokens": lambda tx: token.trim(tx, limit),
            "codes": lambda tx: code.trim(tx, limit),
            "ended_tokens": lambda tx: ended_tokens.trim(tx.now_ms, limit),
            "invitations": lambda tx: invitation.trim(tx, limit),
            "mails": lambda tx: outbox.trim(tx, sent_ms, limit),
            "pushes": lambda tx: push_outbox.trim(tx, sent_ms, limit),
            "dead_codes": lambda tx: dead_letters.trim_codes(tx),
            "dead_mails": lambda tx: dead_letters.trim_mails(tx, ended_ms, limit),
            "digests": lambda tx: pending_mail.trim(tx, sent_ms, limit),
            "visits": lambda tx: presence.trim(tx, sent_ms, limit),
            "announcements": lambda tx: announcement.trim(tx, ended_ms, limit),
            "notices": lambda tx: host_notices.trim(tx, events_ms, limit),
            "file_usage": lambda tx: usage.trim(tx, limit),
            "topics": lambda tx: topics.trim(tx, limit),
            "additions": lambda tx: additions.trim(tx, ended_ms, limit),
            "notifications": lambda tx: causes.trim(tx, read_ms, limit),
            "events": lambda tx: trimming.trim(tx, events_ms, self._delivered_to_all(), limit),
            "late_events": lambda tx: trimming.trim(tx, late_ms, self._processed_by_all(), limit),
            "reports": lambda tx: reports.trim(tx, ended_ms, now - UNUSED_DAYS * DAY_MS, limit),
            "blocks": lambda tx: blocks.trim(tx, limit),
            "search_reindexed": search.end_reindexing,
            "retried_events": lambda tx: trimming.forget_retried(tx),
        }

    def _reindex(self, stop: Stop) -> None:
        """Index messages anew that an earlier version has indexed by other words."""
        deadline = time.monotonic() + MAX_KIND_S
        while not stop() and time.monotonic() < deadline and (ids := search.next_to_reindex(ROWS_PER_TRANSACTION)):
            for batch in search.batches(ids):
                with transaction(appends=False):
                    search.index(batch)
            with transaction(appends=False):
                search.note_reindexed(ids[-1])

    def _erase_words(self, stop: Stop) -> None:
        """Once in ERASE_EVERY_MS, remove the words of deleted texts from the search index, a part in each transaction."""
        left = search.is_erasure_due(ERASE_EVERY_MS)
        while left and not stop():
            with transaction(appends=False) as tx:
                left = search.erase_next(tx)

    def _processed_by_all(self) -> int:
        """The id up to which all parts of all consumers have processed the log."""
        processed = []
        for consumer in self._consumers:
            parts = consumer.parts()
            positions = checkpoint.positions(parts)
            processed += [positions.get(part, 0) for part in parts]
        return min(processed, default=0)

    def _delivered_to_all(self) -> int:
        """The same, if active webhooks were delivered it, too."""
        slowest, processed = webhook.slowest_position(), self._processed_by_all()
        return processed if slowest is None else min(slowest, processed)

    def _end_unused_sessions(self, before_ms: int) -> None:
        """Revoke tokens that were not used since a time, checking the next TOKENS_PER_RUN. Gateways learn it from the log."""
        last, unused = token.find_unused(self._checked_token, before_ms, TOKENS_PER_RUN)
        for user, tokens in unused.items():
            with transaction(appends=True) as tx:
                token.revoke_unused(tx, user, tokens, before_ms)
        self._checked_token = last
