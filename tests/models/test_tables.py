"""Compare docs/tables.md with the schema and the code: for each table it names the function that deletes its rows."""

import re
from importlib import import_module
from pathlib import Path

import peewee
import pytest

from conf import Settings
from models.accounts import user_export
from models.identity.user import User
from models.schema import TABLES
from models.store.database import engine, rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tables.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]
USERS_COLUMN = re.compile(r"(.*_)?(user|users|user_ids|account|actor|author|bot|created_by|triggered_by|owner|receivers?|sender)")
VERBS = r"`([a-z_]+\.[a-z_]+)\.([a-z_]+)`"


def documented_tables() -> list[str]:
    return [table for row in ROWS for table in re.findall(r"`(\w+)`", row[0])]


def schema_tables() -> set[str]:
    """Return the tables of the schema, without partitions and without the tables of a full-text index."""
    if engine().name == "postgresql":
        tables = "relkind IN ('r', 'p') AND NOT relispartition AND relnamespace='public'::regnamespace"
        return {name for (name,) in rows(f"SELECT relname::text FROM pg_class WHERE {tables}")}
    names = {name for (name,) in rows("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'")}
    return {name for name in names if not name.startswith("message_search_")}


def test_the_page_names_each_table_once_and_no_other(store: Settings) -> None:
    assert len(set(documented_tables())) == len(documented_tables())
    assert set(documented_tables()) == schema_tables()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_page_says_for_each_table_how_rows_are_deleted_or_that_they_stay(row: list[str]) -> None:
    _, content, deletion, _ = row
    assert content
    assert re.search(VERBS, deletion) or re.search(r"\*\*[^*]*stays?[^*]*\*\*|deleted with|removed by the user", deletion), deletion


def test_the_functions_that_delete_rows_exist() -> None:
    functions = re.findall(VERBS, PAGE)
    assert functions
    for module, verb in functions:
        assert callable(getattr(import_module(f"models.{module}"), verb)), (module, verb)


def test_the_page_names_everything_that_retention_deletes() -> None:
    source = (ROOT / "jobs" / "upkeep" / "retention.py").read_text()
    retention_calls = set(re.findall(r"\b([a-z_]+)\.((?:trim|forget|revoke)\w*)\(", source))
    assert len(retention_calls) > 10
    assert retention_calls <= {(module.rpartition(".")[2], verb) for module, verb in re.findall(VERBS, PAGE)}


def has_users(model: type[peewee.Model]) -> bool:
    """Whether a column of a table names a user: by a key, or an id or list of ids with such a name."""
    fields = model._meta.sorted_fields
    keys = [field for field in fields if isinstance(field, peewee.ForeignKeyField) and field.rel_model is User]
    numbers = [field for field in fields if isinstance(field, peewee.BigIntegerField | peewee.TextField)]
    return model is User or bool(keys) or any(USERS_COLUMN.fullmatch(field.name) for field in numbers)


def test_a_table_with_a_column_for_a_user_is_exported_or_the_page_says_why_not() -> None:
    exported = {table: row[3] for row in ROWS for table in re.findall(r"`(\w+)`", row[0])}
    unexplained = {model._meta.table_name for model in TABLES if has_users(model) and not exported[model._meta.table_name]}
    assert unexplained == set()


def test_each_file_of_an_export_is_on_the_page_beside_its_tables() -> None:
    named = {name: row[0] for row in ROWS if not row[3].startswith("no:") for name in re.findall(r"`(\w+)`", row[3])}
    parts = {part.name: re.findall(r"(?:FROM|JOIN) (\w+)", part.sql) for part in user_export.PARTS}
    parts |= {name: [kind.table] for name, kind in user_export.RECORDS.items()}
    assert named.keys() == {"account", *parts}
    for name, tables in parts.items():
        assert all(f"`{table}`" in named[name] for table in tables), name
