"""Causes: the facts that notifications are about.

A cause is a row, unique by user and cause. It is kept when the notification is read and when the fact is undone, so a fact that is
repeated, by a user or after a crash, is counted once (promise 5).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import NamedTuple, Protocol

import msgspec
import peewee
from peewee import SQL, fn

from models.identity.user import User
from models.log.event import Transaction
from models.notices.message_counts import MessageInterval
from models.notices.notification import MAIL_ONLY_PREFIX, MAX_TITLE_CHARS, Notification
from models.store.database import Base, fetch_rows, rows

UNREPEATABLE_CAUSES = ("message", "mention", "comment", "status", "password", "host")  # types of causes that nothing can repeat
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class NotificationCause(Base):
    """A fact that was counted in a notification: `message:12`; or several messages to a large group, see `burst_cause`."""

    user = peewee.ForeignKeyField(User, index=False)
    cause = peewee.CharField(max_length=64)
    notification = peewee.BigIntegerField()

    class Meta:
        table_name = "notification_causes"
        primary_key = peewee.CompositeKey("user", "cause")


class Wording(Protocol):
    """The words of a notification."""

    def filled(self, count: int, values: Mapping[str, str]) -> tuple[str, str]:
        """Return title and body for so many causes, of which `values` are those of the newest."""


class Words(NamedTuple):
    """The words of a notification: for one cause, and for several (empty: the same words). Names in braces are replaced by a
    cause's values, and the count by `{n}` or `{others}` ("4 others")."""

    title: str
    body: str = ""
    title_more: str = ""
    body_more: str = ""

    def filled(self, count: int, values: Mapping[str, str]) -> tuple[str, str]:
        """Title and body. All values are inserted in one pass, since a value may itself contain braces."""
        counted = {**values, "n": str(count), "others": "1 other" if count == 2 else f"{count - 1} others"}
        more = count > 1
        title = self.title_more if more and self.title_more else self.title
        body = self.body_more if more and self.body_more else self.body
        return PLACEHOLDER.sub(lambda match: counted[match[1]], title)[:MAX_TITLE_CHARS], PLACEHOLDER.sub(
            lambda match: counted[match[1]], body
        )


BURST_PREFIX = "message:{}:"  # of a conversation


def burst_cause(conversation: int, first: int, last: int) -> str:
    """The cause of the messages to one large group, from `first` to `last`, that reached a member together."""
    return f"{BURST_PREFIX.format(conversation)}{first}-{last}"


class Cause(msgspec.Struct, gc=False):
    """One reason to notify one user: one fact, or several that are counted together. `mail_ms` is when a mail about it is due,
    AT_ONCE or None (never). `again`: mail it also when the notification existed already, in a separate mail. `quiet_ms`: what is
    due at once waits until then, the end of quiet hours. `push_ms` is when it is to be pushed, AT_ONCE or None; `urgent`: also to a
    phone that saves its battery.

    One about messages has the newest of them, `message`, and the `first`, if there are several. What was told of them follows from
    the notification, so the cause is not kept, unless it is `recorded`: it comes later than those of newer messages.
    `mentions_only`: its notification counts only messages that mention the user. `ahead`: what its notification will count, and the
    count, as of before the transaction.
    """

    user: int
    cause: str
    grouping: str
    type: str
    words: Wording
    values: dict[str, str]
    data: bytes
    by: int | None = None
    in_app: bool = True
    mail_ms: int | None = None
    again: bool = False
    facts: int = 1
    url: str | None = None
    quiet_ms: int | None = None
    push_ms: int | None = None
    urgent: bool = False
    message: int | None = None
    first: int | None = None
    recorded: bool = False
    mentions_only: bool = False
    ahead: tuple[MessageInterval, int] | None = None

    def __post_init__(self) -> None:
        """Give notifications that are only mailed another grouping than those that are shown."""
        if not self.in_app and not self.grouping.startswith(MAIL_ONLY_PREFIX):
            self.grouping = MAIL_ONLY_PREFIX + self.grouping


class NotifyingCounts(NamedTuple):
    """The number of causes counted, and the numbers of notifications created and mails queued, by (type, channel)."""

    causes: int
    by_channel: Counter[tuple[str, str]]


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete notifications that were read before a time, the oldest, and at most `limit`; returns how many.

    Their causes of UNREPEATABLE types are deleted too: only the cause's event, which is gone by then, can cause them again. Causes
    that people can repeat (a like, a join) stay, so that they are counted once. All causes stay while an event is listed on which
    notifying has failed, since some of its causes may be written.
    """
    oldest = Notification.select(Notification.id, Notification.user).where(Notification.read_ms < before_ms)
    trimmed = fetch_rows(oldest.order_by(Notification.read_ms).limit(limit))
    if not trimmed:
        return 0
    ids, users = [id_ for id_, _ in trimmed], sorted({user for _, user in trimmed})
    # Raw: the model of dead letters is in models.ops, which imports this package.
    if not rows("SELECT 1 FROM dead_work WHERE consumer='notify' LIMIT 1"):
        of_notifications = NotificationCause.user.in_(users) & NotificationCause.notification.in_(ids)
        NotificationCause.delete().where(of_notifications, _is_unrepeatable()).execute()
    return int(Notification.delete().where(Notification.id.in_(ids)).execute())


def _is_unrepeatable() -> peewee.Expression:
    """The type of a cause, which its text begins with, is one of UNREPEATABLE_CAUSES."""
    # Not startswith(), which PostgreSQL runs as ILIKE; nor a range, whose order depends on the database's collation.
    prefixes = [f"{type_}:" for type_ in UNREPEATABLE_CAUSES]
    types = [fn.SUBSTR(NotificationCause.cause, SQL("1"), SQL(str(len(prefix)))) == prefix for prefix in prefixes]
    condition: peewee.Expression = reduce(or_, types)
    return condition
