"""Who is looking: a row a user and gateway, written only when a user comes or goes, under a lease that the gateway renews."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import peewee

from models.identity.user import User
from models.log.event import Transaction
from models.store.clock import now_ms
from models.store.database import Base, affected_rows, chunks, execute, insert_rows, placeholders, rows

LEASE_S = 30  # a gateway that renews its lease no more is dead after so long, and its users are offline
IDS_A_QUERY = 500


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
    """When a user was there: what became of a row of `online`."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, index=False)
    came_ms = peewee.BigIntegerField(null=True)
    went_ms = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "visits"
        indexes = ((("user", "went_ms"), False),)


def renew_lease(tx: Transaction, gateway: str) -> list[int]:
    """Renews the gateway's lease, and forgets gateways whose lease ran out. Returns the users who were there and are nowhere
    else."""
    dead = [g for (g,) in rows("SELECT gateway FROM leases WHERE until_ms<? AND gateway<>?", (tx.now_ms, gateway))]
    gone: list[int] = []
    if dead:
        gone = [u for (u,) in rows(f"SELECT DISTINCT user_id FROM online WHERE gateway IN ({placeholders(len(dead))})", dead)]
        _end_visits(f"gateway IN ({placeholders(len(dead))})", tx.now_ms, dead)
        execute(f"DELETE FROM leases WHERE gateway IN ({placeholders(len(dead))})", dead)
    until = tx.now_ms + LEASE_S * 1000
    execute(
        "INSERT INTO leases (gateway, until_ms) VALUES (?,?) ON CONFLICT (gateway) DO UPDATE SET until_ms=excluded.until_ms",
        (gateway, until),
    )
    return sorted(set(gone) - online_now(gone))


def record_changes(tx: Transaction, gateway: str, came: Sequence[int], went: Sequence[int]) -> tuple[list[int], list[int]]:
    """Users who came to a gateway and who went, in bulk. Returns those of them who are online now and were nowhere before, and
    those who are offline now."""
    there = online_now(came)
    for part in chunks(went, IDS_A_QUERY):
        _end_visits(f"gateway=? AND user_id IN ({placeholders(len(part))})", tx.now_ms, (gateway, *part))
    values = [(u, gateway, tx.now_ms) for u in came]
    insert_rows(Online, ("user_id", "gateway", "came_ms"), values, " ON CONFLICT DO NOTHING")
    return [u for u in came if u not in there], sorted(set(went) - online_now(went))


def remove_gateway(tx: Transaction, gateway: str) -> None:
    """A gateway that stops takes its users and its lease with it."""
    _end_visits("gateway=?", tx.now_ms, (gateway,))
    execute("DELETE FROM leases WHERE gateway=?", (gateway,))


def _end_visits(where: str, went_ms: int, params: Sequence[Any]) -> None:
    """These are there no more; that they were is kept."""
    execute(
        f"INSERT INTO visits (user_id, came_ms, went_ms) SELECT user_id, came_ms, ? FROM online WHERE {where}", (went_ms, *params)
    )
    execute(f"DELETE FROM online WHERE {where}", params)


def online_at(users: Collection[int], at_ms: int) -> set[int]:
    """Which of these users were online at a moment of the past."""
    found: set[int] = set()
    for part in chunks(sorted(users), IDS_A_QUERY):
        among = f"user_id IN ({placeholders(len(part))}) AND coalesce(came_ms, 0)<=?"
        found |= {u for (u,) in rows(f"SELECT user_id FROM online WHERE {among}", (*part, at_ms))}
        found |= {u for (u,) in rows(f"SELECT user_id FROM visits WHERE {among} AND went_ms>=?", (*part, at_ms, at_ms))}
    return found


def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Forgets who was there long ago; returns of how many visits."""
    return affected_rows(
        "DELETE FROM visits WHERE id IN (SELECT id FROM visits WHERE went_ms<? ORDER BY went_ms LIMIT ?)", (before_ms, limit)
    )


def online_now(users: Collection[int]) -> set[int]:
    """Which of these users are online, on any living gateway."""
    found: set[int] = set()
    for part in chunks(sorted(users), IDS_A_QUERY):
        living = "SELECT o.user_id FROM online o JOIN leases l ON l.gateway=o.gateway WHERE l.until_ms>=?"
        found |= {u for (u,) in rows(f"{living} AND o.user_id IN ({placeholders(len(part))})", (now_ms(), *part))}
    return found
