"""Counting causes in notifications: one unread row for each group of causes, an event for its owner, and the mails about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from models.log.event import Transaction, user_stream
from models.notices import pending_mail
from models.notices.causes import Cause, NotifyingCounts
from models.notices.notification import Notification, view
from models.notices.schedule import AT_ONCE
from models.store.database import chunks, execute, insert_rows, rows, values_cte

INSERT_COLUMNS = (
    *("id", "user_id", "type", "title", "body", "data", "count", "grouping", "created_ms", "updated_ms"),
    *("by_user", "mail_only"),
)
KEYS_A_QUERY = 200

Key = tuple[int, str]  # a user, and what is counted together
UnreadByKey = dict[Key, tuple[int, int, int]]  # id, count and created_ms of the notification that is unread


class CountedNotification(NamedTuple):
    """A notification that was created, or whose count was increased."""

    id: int
    new: bool


def increase(tx: Transaction, counted: Sequence[tuple[Cause, int]]) -> NotifyingCounts:
    """Adds counts to unread notifications, one of each (user, group), making those that are not there."""
    _, by_channel = increase_groups(tx, [([cause], n) for cause, n in counted], find_unread([cause for cause, _ in counted]))
    return NotifyingCounts(len(counted), by_channel)


def increase_groups(
    tx: Transaction, groups: Sequence[tuple[list[Cause], int]], unread: UnreadByKey
) -> tuple[dict[Key, CountedNotification], Counter[tuple[str, str]]]:
    """The same for groups of causes, the newest of which gives the words. Also returns what was made, by (type, channel)."""
    made = _write(tx, [(group[-1], n) for group, n in groups], unread)
    shown = [g[0] for g, _ in groups if g[0].in_app]
    new = Counter((cause.type, "in_app") for cause in shown if made[cause.user, cause.grouping].new)
    return made, new + _mail(tx, [(made[group[0].user, group[0].grouping], group) for group, _ in groups])


def _write(tx: Transaction, counted: Sequence[tuple[Cause, int]], unread: UnreadByKey) -> dict[Key, CountedNotification]:
    made: dict[Key, CountedNotification] = {}
    new: list[tuple[Any, ...]] = []
    updated: list[tuple[Any, ...]] = []
    for cause, n in counted:
        there = unread.get((cause.user, cause.grouping))
        id_, count, created = there or (tx.next_id("notifications"), 0, tx.now_ms)
        count += n
        title, body = cause.words.filled(count, cause.values)
        data = cause.data.decode()
        if there is None:
            row = (id_, cause.user, cause.type, title, body, data, count, cause.grouping, created, tx.now_ms)
            new.append((*row, cause.by, None if cause.in_app else True))
        else:
            updated.append((id_, count, title, body, data))
        made[cause.user, cause.grouping] = CountedNotification(id_, there is None)
        if cause.in_app:
            seen = msgspec.json.encode(view((id_, cause.user, cause.type, title, body, cause.data, count, created, None)))
            kind = "notification.created" if there is None else "notification.updated"
            tx.append(user_stream(cause.user), kind, seen)
    insert_rows(Notification, INSERT_COLUMNS, new)
    _update(tx, updated)
    return made


def _mail(tx: Transaction, updated: Sequence[tuple[CountedNotification, list[Cause]]]) -> Counter[tuple[str, str]]:
    """Queues mails that are to go now, and lines the others up. What was mailed at once and grows unread is not mailed again."""
    now: list[tuple[int, list[int], bool]] = []
    later: list[tuple[int, int, int, bool]] = []
    types: Counter[tuple[str, str]] = Counter()
    for notification, group in updated:
        mailed = [c for c in group if c.mail_ms is not None]
        if any(c.mail_ms == AT_ONCE and (notification.new or c.again) for c in mailed):
            now.append((group[0].user, [notification.id], any(c.again for c in mailed)))
            types[group[0].type, "email"] += 1
        else:
            waits = [(c.mail_ms, c.again) for c in mailed if c.mail_ms]
            later += [(notification.id, group[0].user, due_ms, again) for due_ms, again in sorted(waits)[:1]]
    pending_mail.queue(tx, pending_mail.SINGLE, now)
    pending_mail.add(tx, later)
    return types


class PreparedUpdate(NamedTuple):
    """An unread notification whose count is to be increased from `old` to `new`. `seen` is NOTIFICATION as JSON with the new
    count."""

    cause: Cause
    id: int
    old: int
    new: int
    title: str
    body: str
    seen: bytes


def prepare(counted: Sequence[tuple[Cause, int]]) -> list[PreparedUpdate]:
    """Prepare the updates of the notifications that are unread now: most of the work of `increase`, without the write lock."""
    unread = find_unread([cause for cause, _ in counted])
    found = []
    for cause, n in counted:
        there = unread.get((cause.user, cause.grouping))
        if there is not None:
            id_, old, created = there
            title, body = cause.words.filled(old + n, cause.values)
            seen = view((id_, cause.user, cause.type, title, body, cause.data, old + n, created, None))
            found.append(PreparedUpdate(cause, id_, old, old + n, title, body, msgspec.json.encode(seen)))
    return found


def write_prepared(tx: Transaction, counted: Sequence[tuple[Cause, int]], prepared: Sequence[PreparedUpdate]) -> NotifyingCounts:
    """Like `increase(tx, counted)`, but faster: notifications that are unchanged since `prepare` are written as prepared."""
    still: set[int] = set()
    for part in chunks(prepared, KEYS_A_QUERY):
        still |= {
            i
            for (i,) in rows(
                values_cte("id, old, count, title, body, data", len(part)) + "UPDATE notifications SET count=input.count, "
                "title=input.title, body=input.body, data=input.data, updated_ms=? FROM input WHERE notifications.id=input.id "
                "AND notifications.count=input.old AND notifications.read_ms IS NULL RETURNING notifications.id",
                [*(v for g in part for v in (g.id, g.old, g.new, g.title, g.body, g.cause.data.decode())), tx.now_ms],
            )
        }
    written = [g for g in prepared if g.id in still]
    for update in written:
        if update.cause.in_app:
            tx.append(user_stream(update.cause.user), "notification.updated", update.seen)
    _mail(tx, [(CountedNotification(g.id, new=False), [g.cause]) for g in written])
    done = {(g.cause.user, g.cause.grouping) for g in written}
    made = increase(tx, [(cause, n) for cause, n in counted if (cause.user, cause.grouping) not in done])
    return NotifyingCounts(len(counted), made.by_channel)


def _update(tx: Transaction, updated: Sequence[tuple[Any, ...]]) -> None:
    """Writes (id, count, title, body, data) of those that grew, many a statement: thousands may grow at once."""
    for part in chunks(updated, KEYS_A_QUERY):
        execute(
            values_cte("id, count, title, body, data", len(part))
            + "UPDATE notifications SET count=input.count, title=input.title, "
            "body=input.body, data=input.data, updated_ms=? FROM input WHERE notifications.id=input.id",
            [*(value for row in part for value in row), tx.now_ms],
        )


def find_unread(causes: Iterable[Cause]) -> UnreadByKey:
    """Those of the causes' notifications that are there and unread."""
    unread: UnreadByKey = {}
    for part in chunks(causes, KEYS_A_QUERY):
        keys = [v for c in part for v in (c.user, c.grouping)]
        found = rows(
            values_cte("member, grouping", len(part)) + "SELECT n.user_id, n.grouping, n.id, n.count, n.created_ms FROM input "
            "CROSS JOIN notifications n WHERE n.user_id=input.member AND n.grouping=input.grouping AND n.read_ms IS NULL",
            keys,
        )
        unread |= {(user, grouping): (i, count, created) for user, grouping, i, count, created in found}
    return unread
