"""Presence: which users have an open poll or stream on which gateway, now and in the past.

There is a row for each user and gateway, written only when the user comes online or goes offline there. It is valid while the
gateway renews its lease.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import peewee
from peewee import Case, Value, fn

from models.identity.user import User
from models.log.event import Transaction, transaction
from models.store.database import ID_MAX, Base, chunks, engine, fetch_column, fetch_rows, insert_rows, placeholders, rows
from models.store.due import due

LEASE_S = 30  # a gateway that stops renewing its lease counts as dead after this time, and its users as offline
MAX_LEASE_MS = 2 * LEASE_S * 1000
MAX_IDS_PER_QUERY = 500
MAX_VISITS = 5_000


class GatewayLease(Base):
    """One running gateway."""

    gateway = peewee.CharField(primary_key=True, max_length=32)
    until_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "leases"


class Online(Base):
    """A user with an open poll on a gateway, now or within the last half minute."""

    user = peewee.ForeignKeyField(User, index=False)
    gateway = peewee.CharField(max_length=32)
    came_ms = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "online"
        primary_key = peewee.CompositeKey("user", "gateway")


class Visit(Base):
    """A past period in which a user was online: an ended row of `online`."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, index=False)
    came_ms = peewee.BigIntegerField(null=True)
    went_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "visits"
        indexes = ((("user", "went_ms"), False),)


class RecordedChanges(NamedTuple):
    """The users who are online now and were not before, those who are offline now, and whether the gateway had no lease any more
    (or yet): then the rows of its users are gone, too."""

    online: list[int]
    offline: list[int]
    lease_was_lost: bool


def write_changes(gateway: str, came: Sequence[int], went: Sequence[int]) -> RecordedChanges:
    """Record changes in a transaction of their own, without the log's lock.

    The users who are online are read after the commit: when two gateways change the same user at once, the later one sees both
    changes.
    """
    with transaction(appends=False, durable=False) as tx:
        left_behind, lease_was_lost = record_changes(tx, gateway, came, went)
    elsewhere = online_now(came, except_gateway=gateway)
    online = [user for user in came if user not in elsewhere]
    offline = sorted({*left_behind, *went} - online_now({*left_behind, *went}))
    return RecordedChanges(online, offline, lease_was_lost)


def record_changes(tx: Transaction, gateway: str, came: Sequence[int], went: Sequence[int]) -> tuple[list[int], bool]:
    """Renew the gateway's lease, record the users who came to it and those who left it, and remove gateways whose lease ran out.

    Return the users of the removed gateways, and whether the gateway had no lease.
    """
    lease_was_lost = _renew_lease(tx, gateway)  # first: its row is locked, so no other gateway removes it meanwhile
    left_behind = _remove_dead_gateways(tx, gateway)
    for users in chunks(went, MAX_IDS_PER_QUERY):
        _end_visits((Online.gateway == gateway) & Online.user.in_(users), Value(tx.now_ms))
    values = [(user, gateway, tx.now_ms) for user in came]
    insert_rows(Online, ("user_id", "gateway", "came_ms"), values, " ON CONFLICT DO NOTHING")
    return left_behind, lease_was_lost


def count_gateways() -> int:
    """Return the number of gateways whose lease is valid."""
    return int(GatewayLease.select().where(GatewayLease.until_ms > engine().now_ms()).count())


def _renew_lease(tx: Transaction, gateway: str) -> bool:
    """Renew the gateway's lease. Returns whether it had none."""
    until_ms = tx.now_ms + LEASE_S * 1000
    if GatewayLease.update(until_ms=until_ms).where(GatewayLease.gateway == gateway).execute():
        return False
    GatewayLease.insert(gateway=gateway, until_ms=until_ms).as_rowcount().execute()
    return True


def _remove_dead_gateways(tx: Transaction, own_gateway: str) -> list[int]:
    """Remove the other gateways whose lease is not valid, and end the visits there when it ran out. Returns their users."""
    expired = due(GatewayLease.until_ms, tx.now_ms, MAX_LEASE_MS) & (GatewayLease.gateway != own_gateway)
    leases = GatewayLease.select(GatewayLease.gateway, GatewayLease.until_ms).where(expired)
    if engine().name == "postgresql":  # of gateways that do so at once, one removes a dead one, and none waits for another
        leases = leases.for_update("FOR UPDATE SKIP LOCKED")  # type: ignore[arg-type]  # Peewee takes a clause, too
    dead = dict(fetch_rows(leases))
    users: list[int] = []
    for gateway, until_ms in dead.items():
        on_dead = Online.gateway == gateway
        users += fetch_column(Online.select(Online.user).where(on_dead))
        ended_ms = min(tx.now_ms, until_ms)
        _end_visits(on_dead, Case(None, [(Online.came_ms > ended_ms, Online.came_ms)], ended_ms))
        GatewayLease.delete().where(GatewayLease.gateway == gateway).execute()
    return users


def _end_visits(condition: peewee.Expression, went_ms: peewee.Node) -> None:
    """Move the rows of `online` that a condition selects to `visits`."""
    ended = Online.select(Online.user, Online.came_ms, went_ms).where(condition)
    Visit.insert_from(ended, [Visit.user, Visit.came_ms, Visit.went_ms]).as_rowcount().execute()
    Online.delete().where(condition).execute()


def online_at(users: Collection[int], at_ms: int) -> set[int]:
    """Return those of the users who were online at a moment of the past."""
    online: set[int] = set()
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        still = Online.select(Online.user).where(Online.user.in_(part), fn.COALESCE(Online.came_ms, 0) <= at_ms)
        ended = Visit.select(Visit.user).where(Visit.user.in_(part), fn.COALESCE(Visit.came_ms, 0) <= at_ms, Visit.went_ms >= at_ms)
        online.update(fetch_column(still), fetch_column(ended))
    return online


class Visits:
    """The periods in which a user was online."""

    def __init__(self, periods: Iterable[tuple[int, int]]) -> None:
        """Of periods in Unix ms, which may overlap: on several gateways."""
        self._merged: list[tuple[int, int]] = []
        for came_ms, went_ms in sorted(periods):
            if self._merged and came_ms <= self._merged[-1][1]:
                came_ms, went_ms = self._merged[-1][0], max(went_ms, self._merged.pop()[1])
            self._merged.append((came_ms, went_ms))

    def includes(self, at_ms: int) -> bool:
        """Return whether the user was online at a moment."""
        following = bisect_right(self._merged, (at_ms, ID_MAX))
        return following > 0 and at_ms <= self._merged[following - 1][1]


def visits(user: int, since_ms: int) -> Visits:
    """Return when a user was online since a time, the newest MAX_VISITS."""
    ended = Visit.select(fn.COALESCE(Visit.came_ms, 0), Visit.went_ms).where(Visit.user == user, Visit.went_ms >= since_ms)
    still = Online.select(fn.COALESCE(Online.came_ms, 0), Value(ID_MAX)).where(Online.user == user)
    return Visits([*fetch_rows(ended.order_by(Visit.went_ms.desc()).limit(MAX_VISITS)), *fetch_rows(still)])


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete visits that ended before a time, the oldest, and at most `limit`; returns how many."""
    oldest = Visit.select(Visit.id).where(Visit.went_ms < before_ms).order_by(Visit.went_ms).limit(limit)
    return int(Visit.delete().where(Visit.id.in_(oldest)).execute())


def online_now(users: Collection[int], except_gateway: str = "") -> set[int]:
    """Return those of the users who are online on any gateway whose lease is valid, except one."""
    online: set[int] = set()
    now = engine().now_ms() if users else 0
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        # Raw: every initial state and every slice of a drain reads it.
        sql = f"""
            SELECT o.user_id FROM online o JOIN leases l ON l.gateway=o.gateway
            WHERE l.until_ms BETWEEN ? AND ? AND o.gateway<>? AND o.user_id IN ({placeholders(len(part))})"""
        online |= {user for (user,) in rows(sql, (now, now + MAX_LEASE_MS, except_gateway, *part))}
    return online
