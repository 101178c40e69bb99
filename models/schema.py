"""Bringing the schema up to date, by numbered migrations."""

from __future__ import annotations

from pathlib import Path

from playhouse.migrations import Runner

from models.database import db, engine

DIRECTORY = Path(__file__).parent / "migrations"


def migrate() -> list[str]:
    """Applies what is pending and returns the names. Safe to run twice, and by several processes at once."""
    with engine().one_migrates():
        names: list[str] = Runner(db.obj, str(DIRECTORY)).up()
        return names


def pending() -> list[str]:
    """Migrations that are not applied yet."""
    return [m.name for m in Runner(db.obj, str(DIRECTORY)).status() if m.path is not None and not m.applied]
