"""Notifying: count each cause once, and limit the notifications that one user can cause another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import peewee
from peewee import SQL, fn

from models.log.event import Transaction
from models.notices import message_causes
from models.notices.causes import BURST_PREFIX, Cause, NotificationCause, NotifyingCounts, Words
from models.notices.counts import UnreadByKey, find_unread, grouped, key_of, stored_count, write_groups
from models.notices.notification import MAIL_ONLY_PREFIX, Notification, conversation_grouping
from models.store.database import chunks, fetch_column, fetch_rows, insert_rows, rows, values_cte

MAX_KEYS_PER_QUERY = 200
PAIR_WINDOW_MS = 3_600_000
MAX_PER_PAIR = {
    "message": 60
}  # new notifications by one user to another within PAIR_WINDOW_MS; a busy chat that is read causes many
DEFAULT_MAX_PER_PAIR = 20
HOST_PREFIX = "host:"  # begins the causes of what the host requests, before its event
FLOOD_PREFIX = "more:"  # begins the grouping of causes that are only counted
FLOOD_WORDS = Words("{name} did something more", title_more="{name} did {n} more things")


def add_causes(tx: Transaction, causes: Sequence[Cause], *, only_needed: bool = False) -> NotifyingCounts:
    """Count each new cause once, in the unread notification of its group or in a new one, and queue the mails about them.

    With `only_needed`, an unread notification about messages, whose count follows from them, is not written, nor is there an event.
    The number of statements does not depend on the number of causes, up to MAX_KEYS_PER_QUERY.
    """
    groups = grouped(_new_causes(causes))
    others = [group for group in groups if group[0].message is None]
    of_messages, unread = message_causes.counted([group for group in groups if group[0].message is not None])
    unread |= find_unread([group[0] for group in others])
    counts = {key_of(group): count for group, count in of_messages}
    groups = [group for group, _ in of_messages] + others
    kept, flood = _limited(tx, groups, unread)
    unread |= find_unread([group[0] for group in flood])
    counted = [(group, counts[key_of(group)]) for group in kept if key_of(group) in counts]
    by_sum = [group for group in kept + flood if key_of(group) not in counts]
    counted += [(group, stored_count(group[0], unread) + sum(cause.facts for cause in group)) for group in by_sum]
    notifications, by_channel = write_groups(tx, counted, unread, only_needed=only_needed)
    kept_causes = [cause for group, _ in counted for cause in group if _is_kept(cause)]
    values = [(cause.user, cause.cause, notifications[cause.user, cause.grouping].id) for cause in kept_causes]
    insert_rows(NotificationCause, ("user_id", "cause", "notification"), values)
    return NotifyingCounts(sum(len(group) for group, _ in counted), by_channel)


class CauseNotification(NamedTuple):
    """The notification that counts a cause."""

    id: int
    created_ms: int
    only_counted: bool


def notification_of_cause(user: int, cause: str) -> CauseNotification | None:
    """The notification in which a cause was counted, if it was."""
    for _, found in _notifications_of(user, NotificationCause.cause == cause):
        return found
    return None


def notification_of_burst(user: int, conversation: int, message: int) -> CauseNotification | None:
    """The notification in which a message to a large group was counted together with others, if it was."""
    prefix = BURST_PREFIX.format(conversation)
    for cause, found in _notifications_of(user, fn.SUBSTR(NotificationCause.cause, SQL("1"), SQL(str(len(prefix)))) == prefix):
        first, _, last = cause.removeprefix(prefix).partition("-")
        if int(first) <= message <= int(last):
            return found
    return None


def notification_of_message(user: int, conversation: int, message: int) -> CauseNotification | None:
    """The notification whose interval has a message, or which counted it together with others before there were intervals."""
    grouping = conversation_grouping(conversation)
    is_unread_or_newer = Notification.read_ms.is_null() | (Notification.upto_message >= message)
    query = Notification.select(Notification.id, Notification.created_ms).where(
        *(Notification.user == user, Notification.grouping.in_([grouping, MAIL_ONLY_PREFIX + grouping])),
        *(Notification.from_message <= message, is_unread_or_newer),
    )
    for id_, created_ms in fetch_rows(query.order_by(Notification.id).limit(1)):
        return CauseNotification(id_, created_ms, only_counted=False)
    return notification_of_burst(user, conversation, message)


def newest_host_event(user: int, notification: int) -> int | None:
    """The event of the newest call of the host's that a notification counts, if its causes are still kept."""
    begins = fn.SUBSTR(NotificationCause.cause, SQL("1"), SQL(str(len(HOST_PREFIX)))) == HOST_PREFIX
    causes = NotificationCause.select(NotificationCause.cause).where(
        NotificationCause.user == user, NotificationCause.notification == notification, begins
    )
    return max((int(cause.removeprefix(HOST_PREFIX)) for cause in fetch_column(causes)), default=None)


def _notifications_of(user: int, condition: peewee.Expression) -> Iterator[tuple[str, CauseNotification]]:
    """Yield those of the user's causes that fulfil a condition, each with its notification."""
    query = (
        NotificationCause.select(NotificationCause.cause, Notification.id, Notification.created_ms, Notification.grouping)
        .join(Notification, on=Notification.id == NotificationCause.notification)
        .where(NotificationCause.user == user, condition)
    )
    for cause, id_, created_ms, grouping in fetch_rows(query):
        yield cause, CauseNotification(id_, created_ms, grouping.startswith(FLOOD_PREFIX))


def _is_kept(cause: Cause) -> bool:
    """Whether a cause is kept in a row of its own."""
    return cause.message is None or cause.recorded


def _new_causes(causes: Sequence[Cause]) -> list[Cause]:
    """The causes that have not been counted yet, each once. Of those that are not kept, `message_causes` knows which are new."""
    known: set[tuple[int, str]] = set()
    for part in chunks(filter(_is_kept, causes), MAX_KEYS_PER_QUERY):
        keys = [value for cause in part for value in (cause.user, cause.cause)]
        # Raw: a join with many values; the order of the joins makes each row of `input` seek the index.
        known |= set(
            rows(
                values_cte("member, cause", len(part)) + "SELECT c.user_id, c.cause FROM input CROSS JOIN notification_causes c "
                "WHERE c.user_id=input.member AND c.cause=input.cause",
                keys,
            )
        )
    new = {(cause.user, cause.cause): cause for cause in causes if (cause.user, cause.cause) not in known}
    return list(new.values())


def _limited(tx: Transaction, groups: list[list[Cause]], unread: UnreadByKey) -> tuple[list[list[Cause]], list[list[Cause]]]:
    """Split the groups: those to be notified as they are, and those above the limit of new notifications by one user to another,
    which are only counted, in one notification for all of them."""
    new = [group for group in groups if group[0].by is not None and (group[0].user, group[0].grouping) not in unread]
    counts = _count_recent(tx, [group[0] for group in new])
    flood: list[Cause] = []
    for group in new:
        first = group[0]
        counts[first.by, first.user, first.type] += 1
        if counts[first.by, first.user, first.type] > MAX_PER_PAIR.get(first.type, DEFAULT_MAX_PER_PAIR):
            flood += group
    if not flood:
        return groups, []
    too_many = {(cause.user, cause.grouping) for cause in flood}
    kept = [group for group in groups if (group[0].user, group[0].grouping) not in too_many]
    return kept, grouped(map(_only_counted, flood))


def _only_counted(cause: Cause) -> Cause:
    """The cause of a flood: counted in the one notification about its author, and not mailed."""
    grouping = f"{FLOOD_PREFIX}{cause.by}:{cause.type}"
    data = msgspec.json.encode({"user": cause.by})
    return msgspec.structs.replace(
        cause, grouping=grouping, words=FLOOD_WORDS, data=data, mail_ms=None, message=None, first=None, mentions_only=False
    )


def _count_recent(tx: Transaction, causes: Sequence[Cause]) -> Counter[tuple[int | None, int, str]]:
    """(by, user, type) -> the number of notifications that one user has caused another within PAIR_WINDOW_MS."""
    counts: Counter[tuple[int | None, int, str]] = Counter()
    for part in chunks(sorted({(c.by or 0, c.user, c.type) for c in causes}), MAX_KEYS_PER_QUERY):
        # Raw: a join with many values; the order of the joins makes each row of `input` seek the index.
        sql = (
            values_cte("actor, member, kind", len(part)) + "SELECT n.by_user, n.user_id, n.type, count(*) FROM input "
            "CROSS JOIN notifications n WHERE n.by_user=input.actor AND n.user_id=input.member AND n.type=input.kind "
            "AND n.created_ms>? GROUP BY n.by_user, n.user_id, n.type"
        )
        for actor, member, type_, count in rows(sql, [*(v for key in part for v in key), tx.now_ms - PAIR_WINDOW_MS]):
            counts[actor, member, type_] = count
    return counts
