"""Activity records: what users did, for admins to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import peewee

from models.clock import rfc3339
from models.database import Base, insert_rows, rows
from models.user import User

COLUMNS = ("user_id", "action", "description", "metadata", "triggered_by", "site", "at_ms")


class Activity(Base):
    """One record. `metadata` is JSON."""

    id = peewee.BigAutoField()
    user = peewee.ForeignKeyField(User, null=True, index=False)
    action = peewee.CharField(max_length=64)
    description = peewee.TextField()
    metadata = peewee.TextField()
    triggered_by = peewee.BigIntegerField(null=True)
    site = peewee.CharField(max_length=64, null=True)
    at_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "activities"
        indexes = ((("user", "id"), False), (("action", "id"), False))


def record(values: Sequence[tuple[Any, ...]]) -> None:
    """Inserts records, rows of COLUMNS, in bulk."""
    insert_rows(Activity, COLUMNS, values)


def listed(
    filters: dict[str, Any], since_ms: int | None, until_ms: int | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """ACTIVITY of the contract, newest first, by user_id, action and site (None: any) and time."""
    where, params = ["id<?"], [before if before is not None else 2**62]  # type: list[str], list[Any]
    chosen = [(f"{column}=?", value) for column, value in filters.items()]
    for condition, value in [*chosen, ("at_ms>=?", since_ms), ("at_ms<?", until_ms)]:
        if value is not None:
            where.append(condition)
            params.append(value)
    found = rows(
        f"SELECT id, {', '.join(COLUMNS)} FROM activities WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
        (*params, limit),
    )
    return [
        {
            "id": i,
            "user": user,
            "action": action,
            "description": description,
            "metadata": msgspec.Raw(metadata.encode()),
            "triggered_by": by,
            "site": site,
            "at": rfc3339(at),
        }
        for i, user, action, description, metadata, by, site, at in found
    ]
