"""The schema: what migrations make is what the models say, and nothing in it that PostgreSQL could not have."""

import re
import subprocess
import sys
from pathlib import Path

import peewee
import pytest
from playhouse.schema_diff import diff_models

import models
from conf import Settings
from models import TABLES, schema
from models.database import db, rows

ROOT = Path(__file__).parents[2]
NAMES_CHARS_MAX = 63  # of PostgreSQL's identifiers
# Reserved in PostgreSQL (its documentation, appendix C): the verbs' statements do not quote names.
RESERVED_WORDS = """
all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct
do else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit
localtime localtimestamp not null offset on only or order placing primary references returning select session_user
some symmetric system_user table then to trailing true union unique user using variadic when where window with
"""
MIGRATE = """
import sys
from pathlib import Path
import models
from conf import Settings
from models import schema
sys.stdin.readline()
models.connect(Settings(data_dir=Path(sys.argv[1])))
print(len(schema.migrate()))
"""


def test_the_migrated_schema_is_what_the_models_say(store: Settings) -> None:
    assert str(diff_models(db.obj, TABLES)) == ""


def described(table: str) -> list[list[tuple[object, ...]]]:
    """Columns with types and constraints, foreign keys, indexes but for their names, and whether ids are never reused."""
    columns = rows(f"SELECT name, type, [notnull], dflt_value, pk FROM pragma_table_info('{table}')")
    keys = rows(f"SELECT [table], [from], [to], on_delete FROM pragma_foreign_key_list('{table}') ORDER BY [from]")
    indexes = rows(
        "SELECT group_concat(c.name), i.[unique], substr(s.sql, nullif(instr(s.sql, ' WHERE '), 0)) "
        f"FROM pragma_index_list('{table}') i JOIN pragma_index_info(i.name) c LEFT JOIN sqlite_schema s ON s.name=i.name "
        "GROUP BY i.name ORDER BY 1, 2"
    )
    return [columns, keys, indexes, rows("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name=?", (table,))]


def test_the_migrated_tables_are_those_that_the_models_would_make(store: Settings, tmp_path: Path) -> None:
    """Types, nulls, keys and partial indexes, which the difference above does not look at."""
    migrated = {model._meta.table_name: described(model._meta.table_name) for model in TABLES}
    models.disconnect()
    models.connect(Settings(data_dir=tmp_path / "made"))
    db.create_tables(TABLES)
    for table, description in migrated.items():
        assert description == described(table), table


def test_migrating_twice_changes_nothing(store: Settings) -> None:
    before = rows("SELECT name, sql FROM sqlite_schema ORDER BY name"), rows("SELECT name, value FROM facts ORDER BY name")
    assert schema.migrate() == []
    assert schema.pending() == []
    assert before == (
        rows("SELECT name, sql FROM sqlite_schema ORDER BY name"),
        rows("SELECT name, value FROM facts ORDER BY name"),
    )


def test_of_several_processes_that_migrate_at_once_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MIGRATE, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    done = [int(process.communicate()[0]) for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sorted(done)[:3] == [0] * 3
    assert max(done) > 0


@pytest.fixture
def postgres() -> "peewee.PostgresqlDatabase":
    """Only speaks PostgreSQL; nothing connects to it."""
    before = db.obj
    speaking = peewee.PostgresqlDatabase("bellwire")
    db.initialize(speaking)
    yield speaking
    db.initialize(before)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_each_table_can_be_said_in_postgresql(postgres: peewee.PostgresqlDatabase, model: type[peewee.Model]) -> None:
    statements = [model._schema._create_table(safe=False).query()[0]]
    statements += [index.query()[0] for index in model._schema._create_indexes(safe=False)]
    text = "\n".join(statements)
    assert text.startswith(f'CREATE TABLE "{model._meta.table_name}"')
    assert not re.search(r"AUTOINCREMENT|\bDATETIME\b|WITHOUT ROWID|`|\?", text)
    assert "BIGSERIAL" in text or not any(isinstance(field, peewee.BigAutoField) for field in model._meta.sorted_fields)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_names_need_no_quotes_in_postgresql(model: type[peewee.Model]) -> None:
    names = {model._meta.table_name, *(field.column_name for field in model._meta.sorted_fields)}
    names |= {index._name for index in model._meta.fields_to_index() if index._name}
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) and len(name) <= NAMES_CHARS_MAX for name in names)
    assert not names & set(RESERVED_WORDS.split())
