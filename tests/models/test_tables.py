"""Compare docs/tables.md with the schema and the code: for each table it names the function that deletes its rows."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from conf import Settings
from models.store.database import engine, rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tables.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]
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
    _, content, deletion = row
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
