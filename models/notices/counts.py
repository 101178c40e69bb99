"""Counting causes in notifications: one unread row for each group of causes, an event for its owner, and the mails about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from models.log.event import Transaction, user_stream
from models.notices import pending_mail, pushes
from models.notices.causes import Cause, NotifyingCounts
from models.notices.notification import Notification, view
from models.notices.pushes import NewPush
from models.notices.schedule import AT_ONCE
from models.store.database import chunks, execute, insert_rows, rows, values_cte

INSERT_COLUMNS = (
    *("id", "user_id", "type", "title", "body", "data", "count", "grouping", "created_ms", "updated_ms"),
    *("by_user", "mail_only", "url"),
)
INTERVAL_COLUMNS = ("from_message", "upto_message", "mentions_only")
UNREAD_COLUMNS = "n.id, n.count, n.created_ms, n.from_message, n.upto_message, n.mentions_only"  # of an UnreadCount
MAX_KEYS_PER_QUERY = 200

Key = tuple[int, str]  # user and grouping: causes with the same key are counted in one notification


class UnreadCount(NamedTuple):
    """An unread notification. One about messages has the first that it counts, and the newest that it told of."""

    id: int
    stored: int
    created_ms: int
    first: int | None = None
    upto: int | None = None
    mentions_only: bool | None = None


UnreadByKey = dict[Key, UnreadCount]


class CountedNotification(NamedTuple):
    """A notification that was created, or whose count was increased."""

    id: int
    new: bool


def increase(tx: Transaction, counted: Sequence[tuple[Cause, int]]) -> NotifyingCounts:
    """Add each cause's number to the unread notification of its key, which is created if there is none. Each key occurs once."""
    unread = find_unread([cause for cause, _ in counted])
    _, by_channel = write_groups(tx, [([cause], stored_count(cause, unread) + n) for cause, n in counted], unread)
    return NotifyingCounts(len(counted), by_channel)


def stored_count(cause: Cause, unread: UnreadByKey) -> int:
    """The count of the unread notification of a cause; 0 if there is none."""
    present = unread.get((cause.user, cause.grouping))
    return 0 if present is None else present.stored


def write_groups(
    tx: Transaction, groups: Sequence[tuple[list[Cause], int]], unread: UnreadByKey, *, only_needed: bool = False
) -> tuple[dict[Key, CountedNotification], Counter[tuple[str, str]]]:
    """Write the notifications of groups of causes with one key, each with its new count. It has the words of the newest cause.

    With `only_needed`, those whose messages count the causes already stay as they are; there may be new mails about them.
    Returns the notifications by key, and the numbers of new notifications and queued mails by (type, channel).
    """
    kept = {key_of(group): id_ for group, _ in groups if only_needed and (id_ := _id_of_counting(group, unread)) is not None}
    notifications = _write(tx, [(group, count) for group, count in groups if key_of(group) not in kept], unread)
    notifications |= {key: CountedNotification(id_, new=False) for key, id_ in kept.items()}
    shown = [group[0] for group, _ in groups if group[0].in_app]
    new = Counter((cause.type, "in_app") for cause in shown if notifications[cause.user, cause.grouping].new)
    written = [(notifications[key_of(group)], group) for group, _ in groups]
    return notifications, new + _mail(tx, written) + _push(tx, written)


def grouped(causes: Iterable[Cause]) -> list[list[Cause]]:
    """The causes in groups that are counted together: those of one user and grouping."""
    groups: dict[Key, list[Cause]] = {}
    for cause in causes:
        groups.setdefault((cause.user, cause.grouping), []).append(cause)
    return list(groups.values())


def key_of(group: Sequence[Cause]) -> Key:
    """The key that the causes of a group have in common."""
    return group[0].user, group[0].grouping


def _id_of_counting(group: Sequence[Cause], unread: UnreadByKey) -> int | None:
    """The unread notification about messages that counts those of a group as it is, if there is one."""
    present = unread.get(key_of(group))
    if present is None or present.first is None:
        return None
    first, _, mentions_only = interval_of(group, present)
    is_same = first == present.first and bool(mentions_only) == bool(present.mentions_only)
    return present.id if is_same else None


def _write(tx: Transaction, groups: Sequence[tuple[list[Cause], int]], unread: UnreadByKey) -> dict[Key, CountedNotification]:
    """Insert or update the notification of each group, and append an event for those that are shown."""
    notifications: dict[Key, CountedNotification] = {}
    new: list[tuple[Any, ...]] = []
    updated: list[tuple[Any, ...]] = []
    for group, count in groups:
        cause = group[-1]
        present = unread.get((cause.user, cause.grouping))
        id_, created_ms = (tx.next_id("notifications"), tx.now_ms) if present is None else (present.id, present.created_ms)
        title, body = cause.words.filled(count, cause.values)
        data = cause.data.decode()
        interval = interval_of(group, present)
        if present is None:
            row = (id_, cause.user, cause.type, title, body, data, count, cause.grouping, created_ms, tx.now_ms)
            new.append((*row, cause.by, None if cause.in_app else True, cause.url, *interval))
        else:
            updated.append((id_, count, title, body, data, cause.url, *interval))
        notifications[cause.user, cause.grouping] = CountedNotification(id_, present is None)
        if cause.in_app:
            shown = view((id_, cause.user, cause.type, title, body, cause.data, count, created_ms, None, cause.url))
            event_data = msgspec.json.encode(shown)
            event_type = "notification.created" if present is None else "notification.updated"
            tx.append(user_stream(cause.user), event_type, event_data)
    insert_rows(Notification, (*INSERT_COLUMNS, *INTERVAL_COLUMNS), new)
    _update(tx, updated)
    return notifications


def interval_of(group: Sequence[Cause], present: UnreadCount | None) -> tuple[int | None, int | None, bool | None]:
    """The values of `from_message`, `upto_message` and `mentions_only` for a group of causes that is added to what is present."""
    first, newest, mentions_only = None if present is None else present.first, 0, True
    for cause in group:
        begins = cause.first or cause.message
        if begins is not None:
            newest = max(newest, cause.message or 0)
            first = begins if first is None or begins < first else first
        mentions_only = mentions_only and cause.mentions_only
    if not newest:
        return None, None, None
    if present is not None:
        newest, mentions_only = max(newest, present.upto or 0), mentions_only and bool(present.mentions_only)
    return first, newest, mentions_only or None


def _mail(tx: Transaction, counted: Sequence[tuple[CountedNotification, list[Cause]]]) -> Counter[tuple[str, str]]:
    """Queue the mails that are due now, and add the others to the pending mail; returns the queued ones by (type, "email").

    A notification that was mailed at once is not mailed again when its count increases, except for a cause with `again`.
    """
    now: list[tuple[int, list[int], bool]] = []
    later: list[tuple[int, int, int, bool]] = []
    types: Counter[tuple[str, str]] = Counter()
    for notification, group in counted:
        mailed = [cause for cause in group if cause.mail_ms is not None]
        at_once = [cause for cause in mailed if cause.mail_ms == AT_ONCE and (notification.new or cause.again)]
        if any(cause.quiet_ms is None for cause in at_once):
            now.append((group[0].user, [notification.id], any(cause.again for cause in mailed)))
            types[group[0].type, "email"] += 1
        else:
            pending = [(cause.mail_ms, cause.again) for cause in mailed if cause.mail_ms]
            pending += [(cause.quiet_ms, cause.again) for cause in at_once if cause.quiet_ms]
            later += [(notification.id, group[0].user, due_ms, again) for due_ms, again in sorted(pending)[:1]]
    pending_mail.queue(tx, pending_mail.SINGLE, now)
    pending_mail.add(tx, later)
    return types


def _push(tx: Transaction, counted: Sequence[tuple[CountedNotification, list[Cause]]]) -> Counter[tuple[str, str]]:
    """Queue the pushes; returns them by (type, "push"). A count that increases is pushed again, in the place of the last push."""
    new: list[NewPush] = []
    types: Counter[tuple[str, str]] = Counter()
    for notification, group in counted:
        due = [cause.push_ms for cause in group if cause.push_ms is not None]
        if due:
            urgent = any(cause.urgent for cause in group)
            new.append(NewPush(group[0].user, notification.id, group[0].grouping, min(due), urgent))
            types[group[0].type, "push"] += 1
    pushes.queue(tx, new)
    return types


class PreparedUpdate(NamedTuple):
    """An unread notification whose count is to be increased from `old` to `new`. `event_data` is NOTIFICATION as JSON
    with the new count."""

    cause: Cause
    id: int
    old: int
    new: int
    title: str
    body: str
    event_data: bytes


def prepare(counted: Sequence[tuple[Cause, int]]) -> list[PreparedUpdate]:
    """Prepare the updates of the notifications that are unread now: most of the work of `increase`, without the write lock."""
    unread = find_unread([cause for cause, _ in counted])
    prepared = []
    for cause, n in counted:
        present = unread.get((cause.user, cause.grouping))
        if present is not None:
            id_, old = present.id, present.stored
            title, body = cause.words.filled(old + n, cause.values)
            shown = view((id_, cause.user, cause.type, title, body, cause.data, old + n, present.created_ms, None, cause.url))
            prepared.append(PreparedUpdate(cause, id_, old, old + n, title, body, msgspec.json.encode(shown)))
    return prepared


def write_prepared(tx: Transaction, counted: Sequence[tuple[Cause, int]], prepared: Sequence[PreparedUpdate]) -> NotifyingCounts:
    """Like `increase(tx, counted)`, but faster: notifications that are unchanged since `prepare` are written as prepared."""
    unchanged = _update_unchanged(tx, prepared)
    written = [update for update in prepared if update.id in unchanged]
    for update in written:
        if update.cause.in_app:
            tx.append(user_stream(update.cause.user), "notification.updated", update.event_data)
    unread = [(CountedNotification(update.id, new=False), [update.cause]) for update in written]
    _mail(tx, unread)
    pushed = _push(tx, unread)
    written_keys = {(update.cause.user, update.cause.grouping) for update in written}
    remaining = increase(tx, [(cause, n) for cause, n in counted if (cause.user, cause.grouping) not in written_keys])
    return NotifyingCounts(len(counted), remaining.by_channel + pushed)


def _update_unchanged(tx: Transaction, prepared: Sequence[PreparedUpdate]) -> set[int]:
    """Update the notifications that are unread and have the count that they had in `prepare`; returns their ids."""
    updated: set[int] = set()
    for part in chunks(prepared, MAX_KEYS_PER_QUERY):
        # Raw: a bulk update whose values are joined.
        sql = (
            values_cte("id, old, count, title, body, data", len(part)) + "UPDATE notifications SET count=input.count, "
            "title=input.title, body=input.body, data=input.data, updated_ms=? FROM input WHERE notifications.id=input.id "
            "AND notifications.count=input.old AND notifications.read_ms IS NULL RETURNING notifications.id"
        )
        values = [v for u in part for v in (u.id, u.old, u.new, u.title, u.body, u.cause.data.decode())]
        updated.update(id_ for (id_,) in rows(sql, [*values, tx.now_ms]))
    return updated


def _update(tx: Transaction, updated: Sequence[tuple[Any, ...]]) -> None:
    """Update notifications from (id, count, title, body, data, url, interval), many per statement: there may be thousands."""
    for part in chunks(updated, MAX_KEYS_PER_QUERY):
        # Raw: a bulk update whose values are joined.
        execute(
            values_cte("id, count, title, body, data, url, first, upto, mentions_only", len(part))
            + "UPDATE notifications SET count=input.count, title=input.title, "
            "body=input.body, data=input.data, url=CAST(input.url AS TEXT), updated_ms=?, "
            "from_message=CAST(input.first AS BIGINT), upto_message=CAST(input.upto AS BIGINT), "
            "mentions_only=CAST(input.mentions_only AS BOOLEAN) FROM input "
            "WHERE notifications.id=input.id",
            [*(value for row in part for value in row), tx.now_ms],
        )


def find_unread(causes: Iterable[Cause]) -> UnreadByKey:
    """The unread notifications that would count these causes."""
    unread: UnreadByKey = {}
    for part in chunks(causes, MAX_KEYS_PER_QUERY):
        keys = [value for cause in part for value in (cause.user, cause.grouping)]
        # Raw: a join with many values; the order of the joins makes each row of `input` seek the index.
        notifications = rows(
            values_cte("member, grouping", len(part)) + f"SELECT n.user_id, n.grouping, {UNREAD_COLUMNS} "
            "FROM input CROSS JOIN notifications n "
            "WHERE n.user_id=input.member AND n.grouping=input.grouping AND n.read_ms IS NULL",
            keys,
        )
        unread |= {(user, grouping): UnreadCount(*values) for user, grouping, *values in notifications}
    return unread
