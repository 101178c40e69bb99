"""Sending pushes: acquiring those that are due, and recording what became of them. Raw SQL: it runs for each push."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from models.log.event import Transaction
from models.notices import sending
from models.notices.push_subscriptions import PushSubscription
from models.notices.pushes import Push
from models.notices.sending import LEASE_MS, MAX_ERROR_CHARS
from models.store.database import chunks, execute, placeholders, rows, values_cte

MAX_ROWS_PER_STATEMENT = 200
MAX_DELAY_MS = 2 * 3_600_000  # of a push that has failed
MAX_QUIET_MS = 9 * 24 * 3_600_000  # of one that waits for the end of quiet hours
# Rows planned further ahead than these were planned while the clock was ahead, see models/store/due.py.
FUTURE_SQL = f"""state='queued' AND next_ms>?+CASE WHEN holder IS NOT NULL THEN {2 * LEASE_MS} WHEN attempts>0 THEN {MAX_DELAY_MS}
 ELSE {MAX_QUIET_MS} END"""
COLUMNS = """p.id, s.id, s.user_id, s.endpoint, s.host, s.p256dh, s.auth, p.tag, p.notification, p.urgent, p.recall, p.requests,
 p.attempts, p.next_ms, p.tried_from_ms, p.sent_ms, p.message"""


class DuePush(NamedTuple):
    """A push that is due, with its subscription. A recall of a notification has no text. `requests` is its version."""

    id: int
    subscription: int
    user: int
    endpoint: str
    host: str
    p256dh: str
    auth: str
    tag: str
    notification: int
    urgent: bool
    recall: bool
    requests: int
    attempts: int
    next_ms: int
    tried_from_ms: int
    sent_ms: int | None
    message: int | None


def list_due(now_ms: int, except_hosts: Collection[str], limit: int) -> list[DuePush]:
    """The pushes that are due, the longest first, without those to some hosts."""
    hosts = sorted(except_hosts)
    elsewhere = f" AND s.host NOT IN ({placeholders(len(hosts))})" if hosts else ""
    found = rows(
        f"SELECT {COLUMNS} FROM pushes p JOIN push_subscriptions s ON s.id=p.subscription_id "
        f"WHERE p.state='queued' AND p.next_ms<=?{elsewhere} ORDER BY p.next_ms LIMIT {limit}",
        (now_ms, *hosts),
    )
    return [DuePush(*row)._replace(urgent=bool(row[9]), recall=bool(row[10])) for row in found]  # SQLite has 0 and 1


def acquire(tx: Transaction, due: Sequence[DuePush], holder: str) -> set[int]:
    """Acquire the right to send pushes until the lease runs out; returns the ids of those that no other sender has, and that are
    unchanged since they were read."""
    acquired: set[int] = set()
    for part in chunks(due, MAX_ROWS_PER_STATEMENT):
        sql = (
            values_cte("id, next_ms, requests", len(part))
            + "UPDATE pushes SET next_ms=?, attempts=attempts+1, holder=? FROM input "
            "WHERE pushes.id=input.id AND pushes.next_ms=input.next_ms AND pushes.requests=input.requests AND state='queued' "
            "RETURNING pushes.id"
        )
        values = [value for push in part for value in (push.id, push.next_ms, push.requests)]
        acquired.update(number for (number,) in rows(sql, (*values, tx.now_ms + LEASE_MS, holder)))
    return acquired


def mark_sent(tx: Transaction, push: DuePush, message: int | None) -> None:
    """Mark a push as accepted by its service, with the message whose text it shows. When it was changed meanwhile, it is sent again
    at once."""
    _end(tx, push, "sent", None if push.recall else tx.now_ms, message)
    execute("UPDATE push_subscriptions SET failures=0 WHERE id=? AND failures>0", (push.subscription,))


def drop(tx: Transaction, push: DuePush) -> None:
    """Mark a push as no longer to be sent, unless it was changed meanwhile. One that is shown can still be recalled."""
    _end(tx, push, "dropped", push.sent_ms, push.message)


def _end(tx: Transaction, push: DuePush, state: str, shown_ms: int | None, message: int | None) -> None:
    now, same = tx.now_ms, push.requests
    execute(
        "UPDATE pushes SET state=CASE WHEN requests=? THEN ? ELSE 'queued' END, sent_ms=?, message=?, error=NULL, holder=NULL, "
        "recall=CASE WHEN requests=? THEN CAST(? AS BOOLEAN) ELSE recall END, "
        "ended_ms=CASE WHEN requests=? THEN CAST(? AS BIGINT) END, attempts=CASE WHEN requests=? THEN attempts ELSE 0 END, "
        "next_ms=CASE WHEN requests=? THEN next_ms ELSE ? END, tried_from_ms=CASE WHEN requests=? THEN tried_from_ms ELSE ? END "
        "WHERE id=? AND state='queued'",
        (same, state, shown_ms, message, same, push.recall, same, now, same, same, now, same, now, push.id),
    )


def postpone(tx: Transaction, push: DuePush, until_ms: int) -> None:
    """Send a push that was not tried not before a time, unless it was changed meanwhile."""
    execute("UPDATE pushes SET next_ms=? WHERE id=? AND requests=? AND state='queued'", (until_ms, push.id, push.requests))


def defer(tx: Transaction, push: DuePush, holder: str, delay_ms: int, error: str) -> None:
    """Schedule another attempt after one has failed."""
    sending.defer(Push, tx, push.id, holder, min(delay_ms, MAX_DELAY_MS), error)


def abandon(tx: Transaction, push: DuePush, error: str, max_failures: int) -> bool:
    """Mark a push as dead; after so many in a row the subscription ends. Returns whether it did."""
    execute(
        "UPDATE pushes SET state='dead', ended_ms=?, holder=NULL, error=? WHERE id=? AND state='queued'",
        (tx.now_ms, error[:MAX_ERROR_CHARS], push.id),
    )
    execute("UPDATE push_subscriptions SET failures=failures+1 WHERE id=?", (push.subscription,))
    ended = rows("SELECT id FROM push_subscriptions WHERE id=? AND failures>=?", (push.subscription, max_failures))
    if ended:
        end_subscription(tx, push)
    return bool(ended)


def end_subscription(_tx: Transaction, push: DuePush) -> None:
    """Delete a subscription that its push service does not know any more, and its pushes, unless it was renewed with other keys."""
    same = (PushSubscription.id == push.subscription) & (PushSubscription.auth == push.auth)
    PushSubscription.delete().where(same, PushSubscription.p256dh == push.p256dh).execute()


def has_future(now_ms: int) -> bool:
    """Whether a push is planned further ahead than it may be. Reads all that wait."""
    return bool(rows(f"SELECT 1 FROM pushes WHERE {FUTURE_SQL} LIMIT 1", (now_ms,)))


def make_future_due(tx: Transaction) -> None:
    """Make these pushes due now."""
    execute(f"UPDATE pushes SET next_ms=? WHERE {FUTURE_SQL}", (tx.now_ms, tx.now_ms))


def count_due(now_ms: int) -> int:
    """How many pushes are due within the time of a lease, also those that are being sent."""
    return int(rows("SELECT count(*) FROM pushes WHERE state='queued' AND next_ms<=?", (now_ms + LEASE_MS,))[0][0])


def count_queued() -> tuple[int, int | None]:
    """How many pushes wait, and since when the one does that has waited longest, in Unix ms."""
    return sending.count_queued(Push)


def trim(_tx: Transaction, ended_before_ms: int, limit: int) -> int:
    """Delete pushes that ended before a time, the oldest, and at most `limit`; returns how many."""
    return sending.trim(Push, ("sent", "dropped", "dead"), ended_before_ms, limit)
