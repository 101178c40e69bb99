"""Bringing the schema up to date, by numbered migrations."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playhouse.migrations import Runner

from models.database import db

DIRECTORY = Path(__file__).parent / "migrations"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Holds the migration lock: of several processes that start at once, one migrates and the others wait."""
    path = Path(db.database)
    with path.with_name("migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate() -> list[str]:
    """Applies what is pending and returns the names. Safe to run twice, and by several processes at once."""
    with _one_at_a_time():
        names: list[str] = Runner(db.obj, str(DIRECTORY)).up()
        return names


def pending() -> list[str]:
    """Migrations that are not applied yet."""
    return [m.name for m in Runner(db.obj, str(DIRECTORY)).status() if m.path is not None and not m.applied]
