"""docs/tables.md, compared with the schema and the code: it names for each table what deletes its rows."""

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


def told() -> list[str]:
    return [table for row in ROWS for table in re.findall(r"`(\w+)`", row[0])]


def there() -> set[str]:
    """The schema's tables, without the partitions of another, and without those that a full-text index is made of."""
    if engine().name == "postgresql":
        whole = "relkind IN ('r', 'p') AND NOT relispartition AND relnamespace='public'::regnamespace"
        return {name for (name,) in rows(f"SELECT relname::text FROM pg_class WHERE {whole}")}
    found = {name for (name,) in rows("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'")}
    return {name for name in found if not name.startswith("message_search_")}


def test_each_table_is_told_once_and_no_other(store: Settings) -> None:
    assert len(set(told())) == len(told())
    assert set(told()) == there()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_says_what_ends_a_row_or_that_it_stays(row: list[str]) -> None:
    _, is_, ends = row
    assert is_
    assert re.search(VERBS, ends) or re.search(r"\*\*[^*]*stays?[^*]*\*\*|deleted with|removed by the user", ends), ends


def test_what_ends_rows_is_there() -> None:
    named = re.findall(VERBS, PAGE)
    assert named
    for module, verb in named:
        assert callable(getattr(import_module(f"models.{module}"), verb)), (module, verb)


def test_all_that_is_cleared_away_is_told() -> None:
    source = (ROOT / "jobs" / "upkeep" / "retention.py").read_text()
    clearing = set(re.findall(r"\b([a-z_]+)\.((?:trim|forget|revoke)\w*)\(", source))
    assert len(clearing) > 10
    assert clearing <= {(module.rpartition(".")[2], verb) for module, verb in re.findall(VERBS, PAGE)}
