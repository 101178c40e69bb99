"""Presence: which users have an open poll or stream on which gateway, now and in the past.

There is a row for each user and gateway, written only when the user comes online or goes offline there. It is valid while the
gateway renews its lease.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import peewee
from peewee import Value, fn

from models.identity.user import User
from models.log.event import Transaction
from models.store.clock import now_ms
from models.store.database import Base, chunks, fetch_column, insert_rows, placeholders, rows

LEASE_S = 30  # a gateway that stops renewing its lease counts as dead after this time, and its users as offline
MAX_IDS_PER_QUERY = 500


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


def renew_lease(tx: Transaction, gateway: str) -> list[int]:
    """Renew the gateway's lease, and remove gateways whose lease has run out. Returns the users who were online only on
    removed gateways, in ascending order."""
    offline = _remove_dead_gateways(tx, gateway)
    until_ms = tx.now_ms + LEASE_S * 1000
    GatewayLease.insert(gateway=gateway, until_ms=until_ms).on_conflict(
        conflict_target=[GatewayLease.gateway], preserve=[GatewayLease.until_ms]
    ).as_rowcount().execute()
    return offline


def _remove_dead_gateways(tx: Transaction, own_gateway: str) -> list[int]:
    expired = (GatewayLease.until_ms < tx.now_ms) & (GatewayLease.gateway != own_gateway)
    dead = fetch_column(GatewayLease.select(GatewayLease.gateway).where(expired))
    if not dead:
        return []
    on_dead = Online.gateway.in_(dead)
    users = set(fetch_column(Online.select(Online.user).where(on_dead)))
    _end_visits(on_dead, tx.now_ms)
    GatewayLease.delete().where(GatewayLease.gateway.in_(dead)).execute()
    return sorted(users - online_now(users))


def record_changes(tx: Transaction, gateway: str, came: Sequence[int], went: Sequence[int]) -> tuple[list[int], list[int]]:
    """Record the users who came to a gateway and those who left it.

    Returns the users who are online now and were not before, and those who are offline now.
    """
    online_before = online_now(came)
    for users in chunks(went, MAX_IDS_PER_QUERY):
        _end_visits((Online.gateway == gateway) & Online.user.in_(users), tx.now_ms)
    values = [(user, gateway, tx.now_ms) for user in came]
    insert_rows(Online, ("user_id", "gateway", "came_ms"), values, " ON CONFLICT DO NOTHING")
    return [user for user in came if user not in online_before], sorted(set(went) - online_now(went))


def remove_gateway(tx: Transaction, gateway: str) -> None:
    """End the visits and the lease of a gateway that stops."""
    _end_visits(Online.gateway == gateway, tx.now_ms)
    GatewayLease.delete().where(GatewayLease.gateway == gateway).execute()


def _end_visits(condition: peewee.Expression, went_ms: int) -> None:
    """Move the rows of `online` that a condition selects to `visits`."""
    ended = Online.select(Online.user, Online.came_ms, Value(went_ms)).where(condition)
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


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete visits that ended before a time, the oldest, and at most `limit`; returns how many."""
    oldest = Visit.select(Visit.id).where(Visit.went_ms < before_ms).order_by(Visit.went_ms).limit(limit)
    return int(Visit.delete().where(Visit.id.in_(oldest)).execute())


def online_now(users: Collection[int]) -> set[int]:
    """Return those of the users who are online on any gateway whose lease is valid."""
    online: set[int] = set()
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        # Raw: every initial state and every slice of a drain reads it.
        sql = f"""
            SELECT o.user_id FROM online o JOIN leases l ON l.gateway=o.gateway
            WHERE l.until_ms>=? AND o.user_id IN ({placeholders(len(part))})"""
        online |= {user for (user,) in rows(sql, (now_ms(), *part))}
    return online
