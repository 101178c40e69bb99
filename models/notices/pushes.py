"""Pushes: the messages to the browsers of users, those that wait and those that were sent.

There is one row for each subscription and subject (`tag`): a conversation, or a notification about something else. The browser is
to show its notification, or nothing any more. So several pushes that wait about one subject become one, and one that was read
elsewhere is recalled by the same row. A row is written by the transaction that makes the notification. A sender acquires it under a
lease, as it does a mail (models/notices/outbox.py); its text is read when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import peewee

from models.log.event import Transaction
from models.notices.push_subscriptions import PushSubscription
from models.notices.schedule import AT_ONCE
from models.store.database import Base, NeverReusedIdField, affected_rows, chunks, execute, placeholders, rows, values_cte

CONVERSATION = "conversation:"  # begins the grouping of notifications about messages
NOT_SHOWN = "~"  # MAIL_ONLY_PREFIX, whose module imports this one
MAX_KEYS_PER_QUERY = 200


class Push(Base):
    """A push to one subscription about one subject: the newest `notification`, or with `recall` that it is gone.

    `state` is queued, sent, dropped (not to be sent any more) or dead (given up). `requests` counts changes, so that one which
    comes during an attempt is not lost. `sent_ms` is when a notification was sent that was not recalled since,
    and `message` the one whose text it showed.
    """

    id = NeverReusedIdField()
    subscription = peewee.ForeignKeyField(PushSubscription, index=False, on_delete="CASCADE")
    tag = peewee.CharField(max_length=32)
    notification = peewee.BigIntegerField(index=True)
    urgent = peewee.BooleanField()
    recall = peewee.BooleanField()
    requests = peewee.IntegerField()
    state = peewee.CharField(max_length=8)
    attempts = peewee.IntegerField()
    next_ms = peewee.BigIntegerField()
    holder = peewee.CharField(max_length=32, null=True)
    tried_from_ms = peewee.BigIntegerField()
    sent_ms = peewee.BigIntegerField(null=True)
    message = peewee.BigIntegerField(null=True, index=True)
    ended_ms = peewee.BigIntegerField(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "pushes"
        indexes = ((("subscription", "tag"), True),)


Push.add_index(Push.index(Push.next_ms, where=peewee.SQL("state='queued'"), name="push_due"))
Push.add_index(Push.index(Push.ended_ms, where=peewee.SQL("state<>'queued'"), name="push_ended"))


class NewPush(NamedTuple):
    """A notification that is to be pushed: AT_ONCE or not before `push_ms`."""

    user: int
    notification: int
    grouping: str
    push_ms: int
    urgent: bool = False


def tag_of(grouping: str, notification: int) -> str:
    """Return the name of a notification's subject. A later push with the same tag takes its place in the browser, also of one that
    is not shown in the application."""
    subject = grouping.removeprefix(NOT_SHOWN)
    return subject.replace(":", "-") if subject.startswith(CONVERSATION) else f"notification-{notification}"


# What is queued keeps its time while it is being sent, and after a failure; else the earlier time counts.
QUEUE_SQL = """
INSERT INTO pushes
 (subscription_id, tag, notification, urgent, recall, requests, state, attempts, next_ms, tried_from_ms)
SELECT s.id, input.tag, input.notification, input.urgent, FALSE, 1, 'queued', 0, input.due_ms, input.now_ms
 FROM input JOIN push_subscriptions s ON s.user_id=input.member WHERE TRUE
ON CONFLICT (subscription_id, tag) DO UPDATE SET
 notification=excluded.notification, recall=FALSE, requests=pushes.requests+1, state='queued', ended_ms=NULL,
 urgent=CASE WHEN pushes.state='queued' AND NOT pushes.recall THEN pushes.urgent OR excluded.urgent ELSE excluded.urgent END,
 attempts=CASE WHEN pushes.state='queued' THEN pushes.attempts ELSE 0 END,
 tried_from_ms=CASE WHEN pushes.state='queued' THEN pushes.tried_from_ms ELSE excluded.tried_from_ms END,
 next_ms=CASE WHEN pushes.state='queued' AND (pushes.attempts>0 OR (NOT pushes.recall AND pushes.next_ms<excluded.next_ms))
 THEN pushes.next_ms ELSE excluded.next_ms END
"""


def queue(tx: Transaction, pushes: Sequence[NewPush]) -> None:
    """Queue pushes to all subscriptions of their users. Raw: a bulk upsert whose new values depend on the old ones."""
    for part in chunks(pushes, MAX_KEYS_PER_QUERY):
        values: list[object] = []
        for push in part:
            due_ms = tx.now_ms if push.push_ms == AT_ONCE else push.push_ms
            values += [push.user, push.notification, tag_of(push.grouping, push.notification), push.urgent, due_ms, tx.now_ms]
        execute(values_cte("member, notification, tag, urgent, due_ms, now_ms", len(part)) + QUEUE_SQL, values)


def count_waiting(user: int, now_ms: int) -> int:
    """Return about how many subjects a push of a user waits for its time."""
    return int(Push.select(Push.tag).where(_is_waiting([user], now_ms), ~Push.recall).distinct().count())


def make_due_now(tx: Transaction, users: Sequence[int]) -> None:
    """Make the pushes of users due that wait for their time, since their quiet hours or time zones have changed."""
    for part in chunks(users, MAX_KEYS_PER_QUERY):
        Push.update(next_ms=tx.now_ms).where(_is_waiting(part, tx.now_ms)).execute()


def _is_waiting(users: Sequence[int], now_ms: int) -> peewee.Expression:
    of_users = PushSubscription.select(PushSubscription.id).where(PushSubscription.user.in_(users))
    condition: peewee.Expression = (
        Push.subscription.in_(of_users) & (Push.state == "queued") & (Push.attempts == 0) & (Push.next_ms > now_ms)
    )
    return condition


# What is being sent, or has failed, keeps its time.
RECALL_SQL = """
UPDATE pushes SET recall=TRUE, urgent=FALSE, requests=requests+1, state='queued', ended_ms=NULL,
 attempts=CASE WHEN state='queued' THEN attempts ELSE 0 END,
 tried_from_ms=CASE WHEN state='queued' THEN tried_from_ms ELSE ? END,
 next_ms=CASE WHEN state='queued' AND attempts>0 THEN next_ms ELSE ? END
 WHERE NOT recall AND """


def recall(tx: Transaction, notifications: Sequence[int]) -> None:
    """Recall the pushes of notifications that were read elsewhere or withdrawn. Those that were never sent are deleted.

    Raw: part of moving a read mark.
    """
    for part in chunks(notifications, MAX_KEYS_PER_QUERY):
        about = f"notification IN ({placeholders(len(part))})"
        execute(f"DELETE FROM pushes WHERE {about} AND state='queued' AND attempts=0 AND sent_ms IS NULL", part)
        execute(f"{RECALL_SQL} {about} AND (state='queued' OR sent_ms IS NOT NULL)", (tx.now_ms, tx.now_ms, *part))


def showing(messages: Sequence[int]) -> list[int]:
    """Return the pushes that show the text of one of these messages."""
    numbers: list[int] = []
    for part in chunks(messages, MAX_KEYS_PER_QUERY):
        sql = f"SELECT id FROM pushes WHERE message IN ({placeholders(len(part))}) AND sent_ms IS NOT NULL AND NOT recall"
        numbers += [number for (number,) in rows(sql, part)]
    return numbers


def recall_shown(tx: Transaction, pushes: Sequence[int]) -> int:
    """Recall pushes whose text was deleted, or send in its place what is unread still; returns how many."""
    shown = f"id IN ({placeholders(len(pushes))}) AND sent_ms IS NOT NULL"
    return affected_rows(f"{RECALL_SQL} {shown}", (tx.now_ms, tx.now_ms, *pushes)) if pushes else 0
