"""The consumer `host`: it notifies the receivers of what the host requests, a few per transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import msgspec
import structlog

from jobs.drain.consumer import JobConsumer, Written
from jobs.rules.decisions import cause_with
from jobs.rules.facts import gather_notice_facts
from jobs.rules.host import HostWords, content_of, decide_host, url_of, values_of
from models.log.event import Event, Transaction
from models.notices import audience, host_notices, host_types, notifying
from models.notices.causes import Cause, Words
from models.notices.counts import find_unread
from models.notices.host_notices import Notice
from models.store.database import chunks, engine

RECEIVERS_PER_TRANSACTION = 25  # so that the log's lock is free again after a millisecond
RECEIVERS_PER_READ = 200  # what is known of them is read without the lock
NO_WORDS = Words("")  # yet
MAX_DUE = 50  # notifications of a later time, in one run

logger = structlog.get_logger("jobs")


class NoticePayload(msgspec.Struct, gc=False):
    """The event's data: the notification's id, and its type."""

    notice: int
    type: str


decode_notice = msgspec.json.Decoder(NoticePayload).decode


class NoticeBatch(NamedTuple):
    """The next `users` of a notification's receivers, the last of which is `position`; none of them means that all were decided
    on."""

    notice: Notice
    causes: list[Cause]
    position: int
    users: int


class HostNoticeConsumer(JobConsumer):
    """Notifies each receiver once: the notification's position moves in the transaction that notifies.

    One that is to come later is left to its row, and done by the run after its time.
    """

    name: ClassVar[str] = host_notices.CONSUMER
    types: ClassVar[tuple[str, ...]] = (host_notices.REQUESTED,)

    def job_of(self, event: Event) -> int:
        return decode_notice(event.data).notice

    def postponed(self) -> Sequence[Event]:
        return host_notices.list_due(engine().now_ms(), MAX_DUE)

    def prepare(self, events: Sequence[Event]) -> Iterable[NoticeBatch]:
        for event in events:
            notice = host_notices.find(self.job_of(event))
            if notice is not None and (notice.due_ms is None or notice.due_ms <= engine().now_ms()):
                yield from _batches(notice)

    def write(self, tx: Transaction, batch: NoticeBatch) -> Written:
        if not batch.users:
            return _end(tx, batch.notice)
        host_notices.advance(tx, batch.notice, batch.position, batch.users)
        return Written(*notifying.add_causes(tx, batch.causes))


def _end(tx: Transaction, notice: Notice) -> Written:
    host_notices.complete(tx, notice)
    seconds = (tx.now_ms - notice.created_ms) / 1000
    logger.info("notice_done", job=notice.id, type=notice.type, people=notice.done, seconds=seconds)
    return Written(1)


def _batches(notice: Notice) -> Iterator[NoticeBatch]:
    """All batches that are left: the first begins at the stored position, each other one at the end of the one before it.

    Nobody is notified if the type was deleted meanwhile. Raises HostNoticeError for words or an address that can't be rendered.
    """
    if notice.ended_ms is not None:
        return
    work = _Work(notice)
    while users := work.next_receivers(notice):
        causes = {cause.user: cause for cause in work.causes(users)}
        for part in chunks(users, RECEIVERS_PER_TRANSACTION):
            yield NoticeBatch(notice, [causes[user] for user in part if user in causes], part[-1], len(part))
            notice = notice._replace(position=part[-1], done=notice.done + len(part))
    yield NoticeBatch(notice, [], notice.position, 0)


class _Work:
    """One call: what its receivers have in common, read and rendered once."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self._definition = host_types.find(notice.type)
        if self._definition is None:
            return
        actors = [] if notice.actor is None else [notice.actor]
        values = values_of(notice, next(iter(audience.display_names(actors).values()), None))
        self._content = content_of(notice, self._definition)
        self._url = url_of(notice, self._definition, values)
        self._words = HostWords(self._definition, values)

    def next_receivers(self, notice: Notice) -> list[int]:
        """Return the receivers after the position."""
        if self._definition is None:
            return []
        return host_notices.next_receivers(notice, notice.position, RECEIVERS_PER_READ)

    def causes(self, users: Sequence[int]) -> Iterator[Cause]:
        """Yield a cause for each of these users who is notified or mailed, with words for the number of causes that it has now."""
        content, notice = self._content, self._notice
        facts = gather_notice_facts(notice, users)
        readers = host_notices.readers(notice, users, content.grouping)
        decisions = [decide_host(content, notice, user, readers, facts) for user in users]
        causes = []
        for decision in decisions:
            # `by` is left out: that one person causes another many notifications is the host's decision.
            cause = cause_with(notice.type, NO_WORDS, content._replace(by=None), decision)
            if cause is not None:
                causes.append(msgspec.structs.replace(cause, url=self._url))
        unread = find_unread(causes)
        for cause in causes:
            count = unread[cause.user, cause.grouping][1] if (cause.user, cause.grouping) in unread else 0
            locale = facts.people[cause.user].locale if cause.user in facts.people else ""
            words = self._words.rendered(self._words.tag(locale), count + 1)
            yield msgspec.structs.replace(cause, words=words)
