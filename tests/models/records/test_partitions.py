"""Records of any month are kept; on PostgreSQL months have partitions, which are made ahead and detached while others write."""

import contextlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import msgspec
import psycopg
import pytest
from playhouse.migrations import Runner

from conf import Settings
from models import schema
from models.log import event
from models.records import activity, archived_tables, audit, partition_months, partitions, records
from models.records.archive import RECORD_TYPES
from models.records.export import Export
from models.records.partitions import TablesBusyError
from models.records.records import RecordFilter
from models.store.clock import now_ms
from models.store.database import connect, db, disconnect, engine, execute, rows
from tests.models.people import people, scalar
from tests.stores import Database, PostgresServer, program, settings_of
from tests.waiting import LIMIT_S

DAY_MS = 24 * 3_600_000
RECORD_TYPE = activity.RECORD_TYPE
MARCH = partition_months.start_of(1_741_000_000_000)  # of 2025
OLD_ADMIN_SQL = """
INSERT INTO users (username, username_key, email, email_key, display_name, display_key, role, status, watches, created_ms)
VALUES ('root', 'root', 'root@example.org', 'root@example.org', 'root', 'root', 'admin', 'active', '{}', 0) RETURNING id
"""  # before the migrations that the present code needs
CALL = ("GET /api/v1/admin/users", "/api/v1/admin/users", b"{}", audit.READ, "::1", "a")


def record(user: int, *times_ms: int) -> None:
    """Records of these moments."""
    activity.record([(user, "shop.bought", "", "{}", None, None, at_ms) for at_ms in times_ms])


def listed() -> list[int]:
    """When the records were that admins see, the newest first."""
    return [record.position[0] for record in records.list_newest(RECORD_TYPE, RecordFilter(), None, 10_000)]


def names() -> list[str]:
    return [partition_months.month_of(month) for month in partitions.existing_months(RECORD_TYPE)]


@pytest.fixture
def other(store: Settings) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Another process's connection."""
    assert store.database_url is not None
    with psycopg.connect(store.database_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        yield connection


def test_records_of_any_month_are_kept_and_listed_in_their_order(store: Settings) -> None:
    (root,) = people("root", role="admin")
    now = now_ms()
    times = [0, MARCH - 1, MARCH, now - 40 * DAY_MS, now, now + 40 * DAY_MS, now + 400 * DAY_MS, 9_000_000_000_000]
    record(root, *times)
    for at_ms in times:
        with event.transaction() as tx:  # as the gateway's committer, which holds the log's lock
            tx.now_ms = at_ms
            audit.record(tx, audit.AdminCall(root, *CALL))
    assert listed() == times[::-1]
    assert [r.position[0] for r in records.list_oldest(audit.RECORD_TYPE, RecordFilter(), (0, 0), 100)] == times


@pytest.mark.only("postgresql")
def test_this_month_and_the_next_two_are_made_when_the_schema_is(store: Settings) -> None:
    this = partition_months.start_of(now_ms())
    following = partition_months.end_of(this)
    for kind in RECORD_TYPES:
        assert partitions.existing_months(kind) == [this, following, partition_months.end_of(following)]
        assert partitions.missing_months(kind, 0, now_ms()) == []
        assert partitions.missing_months(kind, 0, following) == [partition_months.end_of(partition_months.end_of(following))]


@pytest.mark.only("postgresql")
def test_a_new_partition_takes_what_the_rest_has_of_its_month_unless_that_is_much(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ana,) = people("ana")
    times = [MARCH - 1, MARCH, partition_months.end_of(MARCH) - 1, partition_months.end_of(MARCH)]
    record(ana, *times)
    assert partitions.missing_months(RECORD_TYPE, MARCH, now_ms()) == [MARCH, partition_months.end_of(MARCH)]
    monkeypatch.setattr(partitions, "MAX_ROWS_MOVED_PER_PARTITION", 1)
    assert not partitions.create(RECORD_TYPE, MARCH)
    monkeypatch.undo()
    assert [partitions.create(RECORD_TYPE, MARCH) for _ in range(2)] == [True, True]
    assert rows("SELECT at_ms FROM activities_rest ORDER BY 1") == [(times[0],), (times[3],)]
    assert rows("SELECT at_ms FROM activities_2025_03 ORDER BY 1") == [(times[1],), (times[2],)]
    assert listed() == times[::-1]


@pytest.mark.only("postgresql")
def test_months_are_detached_while_others_write_and_no_record_is_lost(store: Settings) -> None:
    (ana,) = people("ana")
    old = [MARCH]
    for _ in range(5):
        old.append(partition_months.end_of(old[-1]))
    for month in old:
        partitions.create(RECORD_TYPE, month)
    stop, written = Event(), []

    def write(number: int) -> int:
        done = 0
        while not stop.is_set():
            with event.transaction(appends=False, durable=False):
                record(ana, old[done % len(old)] + number, now_ms())
            done += 1
            written.append(number)
        disconnect()  # this thread's
        return done

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, number) for number in range(3)]
        try:
            for month in old:
                before = len(written)
                while len(written) < before + 10:  # it is in the middle of it
                    assert not any(writer.done() for writer in writers)
                _insist(month)
        finally:
            stop.set()
        done = sum(writer.result(LIMIT_S) for writer in writers)
    away = list(archived_tables.list_tables(RECORD_TYPE))
    assert away == [f"archived_activities_2025_{number:02}" for number in range(3, 9)]
    assert scalar("SELECT count(*) FROM activities") + sum(int(str(scalar(f"SELECT count(*) FROM {t}"))) for t in away) == 2 * done
    assert scalar("SELECT count(*) FROM activities_rest") > 0, "what came after its month was detached"


def _insist(month: int) -> None:
    while True:
        with contextlib.suppress(TablesBusyError):
            partitions.detach(RECORD_TYPE, month)
            return


@pytest.mark.only("postgresql")
def test_who_can_not_have_the_tables_lets_writers_through_and_changes_nothing(
    store: Settings, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    (ana,) = people("ana")
    partitions.create(RECORD_TYPE, MARCH)
    record(ana, MARCH)
    other.execute("BEGIN; SELECT * FROM activities")
    with pytest.raises(TablesBusyError):
        partitions.detach(RECORD_TYPE, MARCH)
    with pytest.raises(TablesBusyError):
        partitions.create(RECORD_TYPE, partition_months.end_of(MARCH))
    record(ana, MARCH)
    assert names()[0] == "2025-03"
    other.execute("ROLLBACK")
    partitions.detach(RECORD_TYPE, MARCH)
    assert archived_tables.list_tables(RECORD_TYPE) == {"archived_activities_2025_03": MARCH}


@pytest.mark.only("postgresql")
def test_records_that_come_late_go_after_those_of_their_month_a_few_at_a_time(store: Settings) -> None:
    (ana,) = people("ana")
    partitions.create(RECORD_TYPE, MARCH)
    record(ana, *range(MARCH, MARCH + 5))
    partitions.detach(RECORD_TYPE, MARCH)
    april = partition_months.end_of(MARCH)
    record(ana, *range(MARCH, MARCH + 5), april, april + 1, partition_months.end_of(april))
    assert [partitions.move_rest(RECORD_TYPE, partition_months.end_of(april), 3) for _ in range(4)] == [3, 2, 2, 0]
    assert archived_tables.list_tables(RECORD_TYPE) == {"archived_activities_2025_03": MARCH, "archived_activities_2025_04": april}
    assert scalar("SELECT count(*) FROM archived_activities_2025_03") == 10
    assert listed() == [partition_months.end_of(april)]


@pytest.mark.only("postgresql")
def test_a_month_that_is_detached_twice_has_two_tables_and_an_export_has_both_in_order(
    store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ana,) = people("ana")
    april = partition_months.end_of(MARCH)
    for first in (MARCH, MARCH + 1):
        partitions.create(RECORD_TYPE, MARCH)
        record(ana, *range(first, MARCH + 20, 2))
        partitions.detach(RECORD_TYPE, MARCH)
    record(ana, MARCH + 3, april)
    assert list(archived_tables.list_tables(RECORD_TYPE)) == ["archived_activities_2025_03", "archived_activities_2025_03_2"]
    monkeypatch.setattr("models.records.export.MAX_LINES_PER_STEP", 4)

    def times(**wanted: int) -> list[tuple[str, int]]:
        found = [
            msgspec.json.decode(line)
            for line in b"".join(Export(RECORD_TYPE, RecordFilter(**wanted), tmp_path).steps()).splitlines()
        ]
        return [(one["at"], one["id"]) for one in found]

    everything = times()
    assert everything == sorted(everything)
    assert len(everything) == 22
    assert len(times(since_ms=MARCH + 3, until_ms=MARCH + 7)) == 5
    assert len(times(since_ms=april)) == 1
    assert times(until_ms=MARCH) == []


@pytest.mark.only("postgresql")
def test_a_step_of_an_export_keeps_partitions_as_they_are(store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    partitions.create(RECORD_TYPE, MARCH)
    record(ana, MARCH, now_ms())
    tried = []

    def meanwhile(*args: object) -> object:
        with ThreadPoolExecutor(1) as thread:
            tried.append(thread.submit(partitions.detach, RECORD_TYPE, MARCH).exception())
        return real(*args)

    real = archived_tables.first_after
    monkeypatch.setattr(archived_tables, "first_after", meanwhile)
    assert len(b"".join(Export(RECORD_TYPE, RecordFilter(), tmp_path).steps()).splitlines()) == 2
    assert [type(error) for error in tried] == [TablesBusyError]


@pytest.mark.only("postgresql")
def test_a_detached_table_can_be_dumped_dropped_and_brought_back_elsewhere(store: Settings, postgres: PostgresServer) -> None:
    (ana,) = people("ana")
    partitions.create(RECORD_TYPE, MARCH)
    record(ana, MARCH)
    partitions.detach(RECORD_TYPE, MARCH)
    record(ana, MARCH)
    partitions.move_rest(RECORD_TYPE, partition_months.end_of(MARCH), 10)
    assert store.database_url is not None
    dumped = subprocess.run([program("pg_dump"), "-t", "archived_*", store.database_url], capture_output=True, check=True)
    elsewhere = postgres.create(None)
    try:
        command = [program("psql"), "-q", "-v", "ON_ERROR_STOP=1", elsewhere]
        subprocess.run(command, input=dumped.stdout, capture_output=True, check=True)
        with psycopg.connect(elsewhere) as there:
            assert there.execute("SELECT user_id, at_ms FROM archived_activities_2025_03").fetchall() == [(ana, MARCH)] * 2
    finally:
        postgres.drop(elsewhere)
    execute("DROP TABLE archived_activities_2025_03")
    record(ana, MARCH)
    assert partitions.move_rest(RECORD_TYPE, partition_months.end_of(MARCH), 10) == 1, "who comes late begins it anew"


@pytest.mark.only("postgresql")
def test_records_from_before_there_were_partitions_are_kept_also_when_dividing_was_interrupted(
    tmp_path: Path, database: Database
) -> None:
    with database.fresh(migrated=False) as place:
        connect(settings_of(tmp_path, place))
        Runner(db.obj, str(schema.DIRECTORY)).up("0007_workers")
        root = scalar(OLD_ADMIN_SQL)
        now = now_ms()
        record(root, *range(now - 9, now + 1), MARCH)
        with event.transaction() as tx:
            audit.record(tx, audit.AdminCall(root, *CALL))
        half = next(m for m in Runner(db.obj, str(schema.DIRECTORY)).migrations() if m.name == "0008_partitions").load()
        half._index(db, "activities")
        half._divide(db, "activities")
        half._index(db, "audits")
        execute("UPDATE pg_index SET indisvalid=false WHERE indexrelid='audits_before_pkey'::regclass")  # as an interrupted one is
        assert "0008_partitions" in schema.migrate()
        assert listed() == [*range(now, now - 10, -1), MARCH]
        assert len(partitions.existing_months(RECORD_TYPE)) == 3
        assert rows("SELECT at_ms FROM activities_rest") == [(MARCH,)]
        record(root, now)
        with event.transaction() as tx:
            audit.record(tx, audit.AdminCall(root, *CALL))
        assert (records.newest_id(RECORD_TYPE), records.newest_id(audit.RECORD_TYPE)) == (12, 2)
        assert engine().execute("SELECT pg_get_serial_sequence('activities', 'id')").fetchone()[0] == "public.activities_id_seq"
        disconnect()
