"""The file of an SQLite store: many may open it at once, and its write-ahead log stays bounded and becomes short again."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from conf import Settings
from models.log import event
from models.store import sqlite as sqlite_store
from models.store.database import engine, execute, rows

pytestmark = pytest.mark.only("sqlite")

PAGE_BYTES = 4096


@pytest.fixture
def connections(store: Settings) -> Iterator[list[sqlite3.Connection]]:
    """Three other connections to the store, which any thread may use."""
    path = store.sqlite_path
    others = [sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False) for _ in range(3)]
    yield others
    for connection in others:
        connection.close()


def begin_to_read(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM users").fetchone()


def end_when_the_write_lock_is_taken(reader: sqlite3.Connection, prober: sqlite3.Connection) -> None:
    """End a read transaction as soon as another connection has the write lock."""
    with suppress(sqlite3.OperationalError):
        while True:
            prober.execute("BEGIN IMMEDIATE")
            prober.execute("ROLLBACK")
    reader.execute("ROLLBACK")


def write(pages: int) -> None:
    """Commit a transaction that changes so many pages."""
    with event.transaction():
        execute("UPDATE facts SET value=hex(randomblob(?)) WHERE name='epoch'", (pages * PAGE_BYTES // 2,))


def used_pages() -> int:
    """Return the number of pages in the WAL."""
    return int(rows("PRAGMA wal_checkpoint(PASSIVE)")[0][1])


def test_the_log_is_used_anew_although_one_reader_is_always_open(
    connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, following, prober = connections
    begin_to_read(reader)
    lengths = []
    for _ in range(5):
        write(20)
        begin_to_read(following)
        reader.execute("ROLLBACK")
        reader, following = following, reader
        engine().run_maintenance()
        lengths.append(used_pages())
    assert all(longer - shorter >= 20 for shorter, longer in pairwise(lengths)), "copying alone never makes it shorter"

    monkeypatch.setattr(sqlite_store, "MAX_USED_WAL_PAGES", 50)
    monkeypatch.setattr(sqlite_store, "READERS_WAIT_S", 120)
    ends = Thread(target=end_when_the_write_lock_is_taken, args=(reader, prober), daemon=True)
    ends.start()
    engine().run_maintenance()
    write(20)
    assert used_pages() < 50
    ends.join(120)


def test_a_reader_that_stays_open_delays_only_the_restart(
    connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "MAX_USED_WAL_PAGES", 10)
    begin_to_read(connections[0])
    for number in range(3):
        write(20)
        engine().run_maintenance()
        assert used_pages() >= 20 * (number + 1)
    connections[0].execute("ROLLBACK")
    write(20)
    engine().run_maintenance()
    write(20)
    assert used_pages() < 60


def test_a_long_file_is_cut_little_by_little(
    store: Settings, connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_to_read(connections[0])
    for _ in range(5):
        write(20)
    connections[0].execute("ROLLBACK")
    monkeypatch.setattr(sqlite_store, "KEPT_WAL_BYTES", 30 * PAGE_BYTES)
    monkeypatch.setattr(sqlite_store, "MAX_BYTES_CUT", 40 * PAGE_BYTES)
    sizes = [engine().wal_bytes()]
    assert sizes[0] == Path(f"{store.sqlite_path}-wal").stat().st_size > 100 * PAGE_BYTES
    while sizes[-1] > 30 * PAGE_BYTES:
        engine().run_maintenance()
        sizes.append(engine().wal_bytes())
        assert sizes[-2] - 40 * PAGE_BYTES <= sizes[-1] < sizes[-2]


def test_an_empty_database_is_opened_while_another_process_is_about_to_switch_it_to_wal_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    other = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    other.execute("CREATE TABLE made (id)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM made").fetchall()
    monkeypatch.setattr(sqlite_store, "READ_BUSY_TIMEOUT_S", 0)
    monkeypatch.setattr(sqlite_store, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: other.close()))
    opened = sqlite_store.SQLite(settings).db
    opened.connect()
    assert opened.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()
