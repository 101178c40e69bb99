"""The schema: migrations create what the models declare, on both databases."""

import os
import re
import subprocess
from pathlib import Path

import peewee
import pytest
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

from conf import Settings
from models import schema
from models.log import checkpoint
from models.ops import dead_letters
from models.records.archive import RECORD_TYPES
from models.schema import TABLES
from models.store.database import connect, db, disconnect, engine, execute, rows
from tests.models.people import people
from tests.python import Python
from tests.stores import Database, environment, settings_of

PARTITIONING = "0008_partitions"  # no model declares partitions
NAMES_CHARS_MAX = 63  # the limit of identifiers in PostgreSQL
# Reserved in PostgreSQL (its documentation, appendix C). The statements of the models do not quote names.
RESERVED_WORDS = """
all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct
do else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit
localtime localtimestamp not null offset on only or order placing primary references returning select session_user
some symmetric system_user table then to trailing true union unique user using variadic when where window with
"""
MIGRATE = """
import sys
from models.store.database import connect, disconnect
from conf import load
from models import schema
sys.stdin.readline()
connect(load())
print(len(schema.migrate()))
"""


def test_the_migrated_schema_has_no_difference_to_the_models(store: Settings) -> None:
    # Lines with "_prefix" are indexes of PostgreSQL that Peewee cannot declare.
    differences = [line for line in str(diff_models(db.obj, TABLES)).splitlines() if "_prefix" not in line]
    # Peewee does not see indexes of partitioned tables; another test compares them.
    partitioned = tuple(f"add index {kind.table}" for kind in RECORD_TYPES) if engine().name == "postgresql" else ()
    assert [line for line in differences if not line.startswith(partitioned)] == []


def described(table: str) -> list[object]:
    """Return columns with types and constraints, foreign keys, and indexes without their names; on SQLite also AUTOINCREMENT."""
    return described_in_sqlite(table) if engine().name == "sqlite" else described_in_postgresql(table)


def described_in_sqlite(table: str) -> list[object]:
    columns = rows(f"SELECT name, type, [notnull], dflt_value, pk FROM pragma_table_info('{table}')")
    keys = rows(f"SELECT [table], [from], [to], on_delete FROM pragma_foreign_key_list('{table}') ORDER BY [from]")
    indexes = rows(
        "SELECT group_concat(c.name), i.[unique], substr(s.sql, nullif(instr(s.sql, ' WHERE '), 0)) "
        f"FROM pragma_index_list('{table}') i JOIN pragma_index_info(i.name) c LEFT JOIN sqlite_schema s ON s.name=i.name "
        "GROUP BY i.name ORDER BY 1, 2"
    )
    return [columns, keys, indexes, rows("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name=?", (table,))]


def described_in_postgresql(table: str) -> list[object]:
    columns = rows(
        "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema='public' AND table_name=? ORDER BY ordinal_position",
        (table,),
    )
    keys = sorted((key.column, key.dest_table, key.dest_column, key.on_delete) for key in db.get_foreign_keys(table))
    definitions = rows("SELECT indexdef FROM pg_indexes WHERE schemaname='public' AND tablename=?", (table,))
    indexes = sorted(re.sub(r"INDEX \S+ ON", "INDEX ON", text) for (text,) in definitions if "text_pattern_ops" not in text)
    return [columns, keys, indexes]


def test_the_migrated_tables_equal_the_tables_that_the_models_create(store: Settings, tmp_path: Path, database: Database) -> None:
    """Compare types, nulls, keys and partial indexes, which the difference above leaves out."""
    migrated = {model._meta.table_name: described(model._meta.table_name) for model in TABLES}
    disconnect()
    with database.fresh(migrated=False) as options:
        connect(settings_of(tmp_path / "made", options))
        db.create_tables(TABLES)
        next(m for m in Runner(db.obj, str(schema.DIRECTORY)).migrations() if m.name == PARTITIONING).load().up(None, db)
        for table, description in migrated.items():
            assert description == described(table), table


def keys_that_lead_no_index() -> list[tuple[str, str]]:
    """(table, column) of the foreign keys that lead no index of all rows."""
    if engine().name == "sqlite":
        tables = [table for (table,) in rows("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY name")]
        leading = (
            "SELECT c.name FROM pragma_index_list('{0}') i JOIN pragma_index_info(i.name) c WHERE c.seqno=0 AND NOT i.partial "
            "UNION SELECT name FROM pragma_table_info('{0}') WHERE pk=1"
        )
        keys = "SELECT [from] FROM pragma_foreign_key_list('{0}') WHERE [from] NOT IN (" + leading + ")"
        return [(table, column) for table in tables for (column,) in rows(keys.format(table))]
    return rows(
        "SELECT k.conrelid::regclass::text, a.attname FROM pg_constraint k "
        "JOIN pg_attribute a ON a.attrelid=k.conrelid AND a.attnum=k.conkey[1] WHERE k.contype='f' AND NOT EXISTS "
        "(SELECT 1 FROM pg_index i WHERE i.indrelid=k.conrelid AND i.indkey[0]=k.conkey[1] AND i.indpred IS NULL AND i.indisvalid)"
    )


def test_each_foreign_key_leads_an_index(store: Settings) -> None:
    """Else deleting a user, post or event reads every row of the tables that refer to it."""
    assert keys_that_lead_no_index() == []


@pytest.mark.only("postgresql")
def test_an_index_whose_making_was_interrupted_is_made_anew(store: Settings) -> None:
    runner = Runner(db.obj, str(schema.DIRECTORY))
    execute("DELETE FROM schema_migration WHERE name='0013_foreign_keys'")
    execute("UPDATE pg_index SET indisvalid=false WHERE indexrelid='like_user_id'::regclass")
    execute("DROP INDEX post_author_id")
    assert keys_that_lead_no_index() != []
    assert runner.up() == ["0013_foreign_keys"]
    assert keys_that_lead_no_index() == []


@pytest.mark.only("postgresql")
def test_migrating_updates_the_statistics_by_which_the_server_plans(store: Settings) -> None:
    people("ana")
    analyzed = "SELECT count(*) FROM pg_stats WHERE tablename='users' AND attname='username'"
    assert (schema.migrate(), rows(analyzed)) == ([], [(0,)])
    execute("DELETE FROM schema_migration WHERE name='0013_foreign_keys'")
    assert schema.migrate() == ["0013_foreign_keys"]
    assert rows(analyzed) == [(1,)]


def test_each_migration_has_a_number_of_its_own() -> None:
    numbers = [name.partition("_")[0] for name in schema.migrations()]
    assert numbers == sorted(set(numbers))


def test_migrating_twice_changes_nothing(store: Settings) -> None:
    def schema_and_facts() -> list[object]:
        return [*(described(model._meta.table_name) for model in TABLES), rows("SELECT name, value FROM facts ORDER BY name")]

    before = schema_and_facts()
    assert schema.migrate() == []
    assert schema.pending() == []
    assert before == schema_and_facts()


def test_of_several_processes_that_migrate_at_once_one_migrates(tmp_path: Path, database: Database) -> None:
    with database.fresh(migrated=False) as options:
        env = {**os.environ, **environment({"data_dir": tmp_path, **options})}
        processes = [Python(["-c", MIGRATE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        counts = [int(process.communicate()[0]) for process in processes]
        assert [process.returncode for process in processes] == [0] * 4
        assert sorted(counts)[:3] == [0] * 3
        assert max(counts) > 0


def test_checkpoints_and_dead_letters_of_earlier_versions_are_kept(tmp_path: Path) -> None:
    connect(Settings(data_dir=tmp_path))
    Runner(db.obj, str(schema.DIRECTORY)).up("0001_initial")
    execute("INSERT INTO checkpoints (consumer, position, moved_ms) VALUES ('notify', 7, 1)")
    execute("INSERT INTO events (id, stream, type, at_ms, data) VALUES (7, 'user:1', 'x', 1, '{}')")
    execute("INSERT INTO dead_events (consumer, event_id, error, parked_ms, retry) VALUES ('notify', 7, 'why', 1, 1)")
    assert schema.migrate() == [path.stem for path in sorted(schema.DIRECTORY.glob("[0-9]*.py"))][1:]
    added = {consumer: {0: (7, 0)} for consumer in ("imported_search", "withdrawals", "unreachable")}
    assert checkpoint.all_positions() == {"notify": {0: (7, 1)}, **added}
    assert dead_letters.letters_to_retry("notify", 10) == [(1, 7)]
    disconnect()


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_names_need_no_quotes_in_postgresql(model: type[peewee.Model]) -> None:
    names = {model._meta.table_name, *(field.column_name for field in model._meta.sorted_fields)}
    names |= {index._name for index in model._meta.fields_to_index() if index._name}
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) and len(name) <= NAMES_CHARS_MAX for name in names)
    assert not names & set(RESERVED_WORDS.split())
