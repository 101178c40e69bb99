"""Bringing the schema up to date, by numbered migrations."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from playhouse.migrations import Runner

from models import partitions
from models.archive import KINDS
from models.clock import now_ms
from models.database import db, engine
from models.partitions import TakenError

DIRECTORY = Path(__file__).parent / "migrations"


def migrate() -> list[str]:
    """Applies what is pending and returns the names. Safe to run twice, and by several processes at once."""
    with engine().one_migrates():
        names: list[str] = Runner(db.obj, str(DIRECTORY)).up()
        if engine().name == "postgresql":
            _make_partitions(now_ms())
        return names


def _make_partitions(now: int) -> None:
    """Before records need them. Workers make those that can't be had now, too."""
    for kind in KINDS:
        with suppress(TakenError):
            for month in partitions.missing(kind, now, now):
                partitions.make(kind, month)


def pending() -> list[str]:
    """Migrations that are not applied yet."""
    return [m.name for m in Runner(db.obj, str(DIRECTORY)).status() if m.path is not None and not m.applied]
