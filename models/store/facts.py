"""Facts about the store itself: its epoch, and the low-water mark of the log."""

from __future__ import annotations

import secrets

import peewee

from models.store.database import Base, execute, rows


class Fact(Base):
    """One fact by name: `epoch` (changes when a store is restored), `trimmed` (the newest event id that was deleted), `probed`."""

    name = peewee.CharField(primary_key=True, max_length=32)
    value = peewee.TextField()

    class Meta:
        table_name = "facts"


EPOCH = "epoch"
TRIMMED = "trimmed"
PROBED = "probed"  # when a gateway last tried whether commits succeed, in ms
OLDEST_CODE = "oldest_code"  # the newest migration and the version of the oldest code that may run, as `8 0.1.0`
SETUP_CODE = "setup_code"  # the hash of the code by which the first admin is made; absent as soon as there is one
ORGANISATION = "organisation"  # its name
COPYING = "copying"  # present while a SQLite store is being copied to this one


def is_half_copied() -> bool:
    """Return whether a copy to this store has begun and not finished."""
    return Fact.select().where(Fact.name == COPYING).exists()


def new_epoch() -> str:
    """Return a random label for a new epoch."""
    return secrets.token_hex(4)


def epoch() -> str:
    """Return the store's epoch."""
    return str(Fact.get_by_id(EPOCH).value)


def trimmed() -> int:
    """Return the newest event id that was deleted; 0 when all events are kept. Raw SQL: every poll that reads the store runs it."""
    return int(rows("SELECT value FROM facts WHERE name=?", (TRIMMED,))[0][0])


def read(name: str) -> str | None:
    """Return a fact, None if it is absent."""
    fact = Fact.get_or_none(Fact.name == name)
    return None if fact is None else str(fact.value)


def write(name: str, value: str) -> None:
    """Write a fact, in the place of its earlier value."""
    Fact.insert(name=name, value=value).on_conflict(conflict_target=[Fact.name], preserve=[Fact.value]).execute()


def delete(name: str) -> None:
    """Delete a fact, if there is one."""
    Fact.delete().where(Fact.name == name).execute()


def write_probe(at_ms: int) -> None:
    """Write one row, so that the commit that follows has something to write. Raw SQL: it runs under the log's lock."""
    execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value", (PROBED, str(at_ms))
    )


def oldest_code() -> tuple[int, str]:
    """Return the newest migration and the version of the oldest code that may run on this store."""
    stored = Fact.get_or_none(Fact.name == OLDEST_CODE)
    if stored is None:  # the code that migrated it last did not record this yet
        return 0, ""
    schema, _, version = stored.value.partition(" ")
    return int(schema), version


def set_oldest_code(schema: int, version: str) -> None:
    """Record the oldest code that may run on this store."""
    write(OLDEST_CODE, f"{schema} {version}")
