"""Who is looking: a row a user and gateway, written only when a user comes or goes, under a lease that the gateway renews."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import peewee

from models.clock import now_ms
from models.database import Base, chunks, execute, insert_rows, marks, rows
from models.event import Log
from models.user import User

LEASE_S = 30  # a gateway that renews its lease no more is dead after so long, and its users are offline
IDS_A_QUERY = 500


class Lease(Base):
    """One running gateway."""

    gateway = peewee.CharField(primary_key=True, max_length=32)
    until_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "leases"


class Online(Base):
    """A user with an open poll on a gateway, now or within the last half minute."""

    user = peewee.ForeignKeyField(User, index=False)
    gateway = peewee.CharField(max_length=32)

    class Meta:
        table_name = "online"
        primary_key = peewee.CompositeKey("user", "gateway")


def renew(log: Log, gateway: str) -> None:
    """Renews the gateway's lease, and forgets gateways whose lease ran out."""
    dead = [g for (g,) in rows("SELECT gateway FROM leases WHERE until_ms<? AND gateway<>?", (log.now_ms, gateway))]
    if dead:
        execute(f"DELETE FROM online WHERE gateway IN ({marks(len(dead))})", dead)
        execute(f"DELETE FROM leases WHERE gateway IN ({marks(len(dead))})", dead)
    until = log.now_ms + LEASE_S * 1000
    execute(
        "INSERT INTO leases (gateway, until_ms) VALUES (?,?) ON CONFLICT (gateway) DO UPDATE SET until_ms=excluded.until_ms",
        (gateway, until),
    )


def change(log: Log, gateway: str, came: Sequence[int], went: Sequence[int]) -> None:
    """Users who came to a gateway and who went, in bulk."""
    for part in chunks(went, IDS_A_QUERY):
        execute(f"DELETE FROM online WHERE gateway=? AND user_id IN ({marks(len(part))})", (gateway, *part))
    insert_rows(Online, ("user_id", "gateway"), [(u, gateway) for u in came], " ON CONFLICT DO NOTHING")


def leave(log: Log, gateway: str) -> None:
    """A gateway that stops takes its users and its lease with it."""
    execute("DELETE FROM online WHERE gateway=?", (gateway,))
    execute("DELETE FROM leases WHERE gateway=?", (gateway,))


def looking(users: Collection[int]) -> set[int]:
    """Which of these users are online, on any living gateway."""
    found: set[int] = set()
    for part in chunks(sorted(users), IDS_A_QUERY):
        living = "SELECT o.user_id FROM online o JOIN leases l ON l.gateway=o.gateway WHERE l.until_ms>=?"
        found |= {u for (u,) in rows(f"{living} AND o.user_id IN ({marks(len(part))})", (now_ms(), *part))}
    return found
