"""The store as a PostgreSQL database, shared by any number of gateways and workers on any hosts (psycopg 3).

Order: a transaction that appends first acquires the log's lock (`pg_advisory_xact_lock`) and keeps it through COMMIT, so ids
become visible in id order. The server ends a transaction that has the lock and is idle for a second
(idle_in_transaction_session_timeout). Isolation is READ COMMITTED: each statement after the lock sees all that was committed
before the lock was acquired.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import peewee
import psycopg
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from conf import Settings
from models.store.backoff import Backoff, RetryGate
from models.store.engine import Engine, TransactionStart
from models.store.postgres_connection import ServerConnection
from models.store.socket_watchdog import CUT_AFTER_S, SocketWatchdog

LOG_LOCK, MIGRATION_LOCK = 0x42454C4C, 0x42454C4D  # keys of advisory locks, which are separate for each database
CHANNEL = "bellwire"  # of NOTIFY, whose payload is the newest event id
MIGRATION_RETRY_S = 0.05
CONNECT_TIMEOUT_S = 5  # of each host in the URL; on a busy host a server took over two seconds to let a client in
FIRST_RECONNECT_S, MAX_RECONNECT_S = 0.05, 1.0  # between two attempts while the server is down
STATEMENT_TIMEOUT_S = 5
# A process that hangs with the log's lock stops all sends for so long, which is less than they wait. One that only waits for a core
# of a busy host must not lose its transaction: with a second it did.
IDLE_IN_TRANSACTION_S = 3
CLOCK_VALID_S = 1.0  # a reading of the server's clock: threads that poll the store need it dozens of times a second
MAX_DROPPED_S = 1.0  # a connection that the server closed fails at once; one that fails later was lost in another way
ESCAPE = "\ufdd0"  # a noncharacter: no text has it for a meaning of its own
MAX_PREPARED_STATEMENTS = 400  # for each connection; bulk statements differ by their number of rows
IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
HEAD_SQL = "SELECT greatest((SELECT max(id) FROM events), (SELECT value::bigint FROM facts WHERE name='trimmed'))"
LAST_ID_SQL = "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}_id_seq)"
NEWEST_IDS_SQL = f"SELECT ({HEAD_SQL}), {LAST_ID_SQL.format('events')}, {LAST_ID_SQL.format('messages')}"
CLOCK_SQL = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"  # not now(): that is before the wait for the lock
RELAXED_SQL = ", set_config('synchronous_commit', 'off', true)"  # of this transaction, by the same statement
LOCK_SQL = f"SELECT pg_advisory_xact_lock({LOG_LOCK}); {CLOCK_SQL}, {NEWEST_IDS_SQL.removeprefix('SELECT ')}"

# Every statement is written so that one index leads it, in the index's order (tests/jobs/test_plans.py). A connection keeps a
# prepared statement's plan until the server gathers statistics again, also one that was made while tables had a few rows, as on
# the first day. Measured on tables that have grown to 20,000 messages meanwhile: with sequential scans 46 of 130 statements take
# over 5 ms, not 12, and a page of comments takes 5 s, not 0.3 ms; with hash joins the causes of notifications took 19 ms in one
# run, not 0.2. With bitmap scans and no statistics a page of comments takes 165 ms, not 1.
SESSION_SQL = f"""
SET default_transaction_isolation = 'read committed'; SET statement_timeout = '{STATEMENT_TIMEOUT_S}s';
SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'; SET jit = off;
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_bitmapscan = off
"""
FULL_SQL = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
NORMAL_SQL = "SET synchronous_commit = off"
READ_WRITE = "read-write"  # of several hosts, the one that may be written to


@lru_cache(maxsize=4096)
def numbered(sql: str) -> str:
    """Return the statement with PostgreSQL's `$1`, `$2`, … in the place of `?`."""
    first, *parts = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(parts, 1))


class _Database(peewee.PostgresqlDatabase):
    """Peewee's database, with connections that the engine opens."""

    opener: PostgreSQL

    def _connect(self) -> ServerConnection:
        return self.opener.open()

    def execute(self, query: Any, **options: Any) -> Any:
        """Run a Peewee query like raw SQL: with `?` parameters, under the watchdog, and again on a new connection when the server
        has closed the old one."""
        sql, params = self.get_sql_context(param="?", **options).sql(query).query()
        return self.opener.execute(sql, params)


class _ServerClock(NamedTuple):
    """How far the server's clock is ahead of time.monotonic() at least, and since when (time.monotonic()) that is known."""

    since: float
    ahead_ms: float


class _WriterState(threading.local):
    """Whether this thread is in a write transaction."""

    writing = False


class PostgreSQL(Engine):
    """The engine for PostgreSQL. Ids come from sequences, assigned under the log's lock."""

    name: ClassVar[str] = "postgresql"
    tail_interval_s: ClassVar[float] = 0.5
    parts_per_consumer: ClassVar[int] = 8

    def __init__(self, settings: Settings, name: str) -> None:
        assert settings.database_url is not None
        self._url = settings.database_url
        self._target = conninfo_to_dict(self._url).get("target_session_attrs", READ_WRITE)
        self._name = name
        self._session_sql = f"{SESSION_SQL}; {FULL_SQL if settings.durability == 'full' else NORMAL_SQL}"
        self._notifies = settings.redis_url is None
        self._gate = RetryGate(Backoff(FIRST_RECONNECT_S, MAX_RECONNECT_S, jitter=(0.75, 1.0)))
        self._watchdog = SocketWatchdog()
        self._thread = _WriterState()
        self._clock = _ServerClock(-math.inf, 0.0)
        self.db = _Database("bellwire", prefer_psycopg3=True)
        self.db.opener = self

    def open(self, purpose: str = "") -> ServerConnection:
        """Open a connection, named after the process and the thread. Raise at once while the server is known to be down."""
        name = f"bellwire {self._name} {purpose or threading.current_thread().name}"[:63]
        with self._gate.attempt(psycopg.OperationalError):
            connection = ServerConnection.connect(
                self._url,
                autocommit=True,
                application_name=name,
                connect_timeout=CONNECT_TIMEOUT_S,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=int(CUT_AFTER_S * 1000),
                target_session_attrs=self._target,
            )
            connection.watchdog = self._watchdog
            connection.execute(self._session_sql)
        connection.prepared_max = MAX_PREPARED_STATEMENTS
        connection.adapters.register_dumper(int, Int8Dumper)  # else each integer size is another prepared statement
        return connection

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run a statement. Outside a transaction, where statements only read or begin, one that finds its connection closed by the
        server, or another server in the place of one that may only be read, is run again on a new connection."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            connection = self._connection()
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                return self._run(connection, sql, params)
            began = time.monotonic()
            try:
                cursor = self._run(connection, sql, params)
                if not (connection.is_read_only and self._leave_read_only_server()):
                    return cursor
            except psycopg.OperationalError:
                if not self.db.is_closed() or time.monotonic() - began >= MAX_DROPPED_S:
                    raise
            return self._run(self._connection(), sql, params)

    def _run(self, connection: psycopg.Connection[Any], sql: str, params: Sequence[Any]) -> Any:
        try:
            return RawCursor(connection).execute(numbered(sql), params or None)
        except psycopg.Error:
            if connection.closed or connection.broken:
                self.db.close()
            raise

    def _connection(self) -> ServerConnection:
        """Return this thread's connection, but no new one in a write transaction whose connection was lost."""
        if self.db.is_closed() and self._thread.writing:
            raise psycopg.OperationalError("the connection was lost in the middle of a transaction")
        connection: ServerConnection = self.db.connection()
        return connection

    def _leave_read_only_server(self) -> bool:
        """Close this thread's connection and return True if a server that may be written to can be reached. Until then, reading
        goes on where it is."""
        if self._target != READ_WRITE:
            return False
        try:
            self.open().close()
        except psycopg.OperationalError:
            return False
        self.db.close()
        return True

    def begin(self, *, appends: bool, durable: bool) -> TransactionStart:
        """Send BEGIN, the lock and the query for the clock and the newest ids in one round trip."""
        start_sql = LOCK_SQL if appends else CLOCK_SQL
        if not durable:
            start_sql += RELAXED_SQL
        try:
            cursor = self.execute(f"BEGIN; {start_sql}")
        except BaseException:
            self.rollback()
            raise
        self._thread.writing = True
        while cursor.nextset():
            pass
        if not appends:
            now_ms, *_ = cursor.fetchone()
            self._record_clock(now_ms)
            return TransactionStart(now_ms, 0, {})
        now_ms, head, events, messages, *_ = cursor.fetchone()
        self._record_clock(now_ms)
        return TransactionStart(now_ms, head, {"events": max(head, events), "messages": messages})

    def newest_id(self, table: str) -> int:
        return int(self.execute(f"SELECT {LAST_ID_SQL.format(table)}").fetchone()[0])

    def commit(self, assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        """Advance the sequences to the assigned ids, notify the listeners and commit, in one round trip."""
        moves = ", ".join(f"setval('{table}_id_seq', {last})" for table, last in assigned_ids.items())
        statements = [f"SELECT {moves}"] if moves else []
        if newest_event is not None and self._notifies:
            statements.append(f"NOTIFY {CHANNEL}, '{newest_event}'")
        cursor = self.execute("; ".join([*statements, "COMMIT"]))
        self._thread.writing = False
        while cursor.nextset():
            pass
        return bool(cursor.statusmessage == "COMMIT")  # it is ROLLBACK when the transaction had failed

    def rollback(self) -> None:
        self._thread.writing = False
        if self.in_transaction():
            self.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        return not self.db.is_closed() and self._connection().pgconn.transaction_status in IN_TRANSACTION

    def begin_snapshot(self) -> None:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def begin_multi_index_read(self) -> None:
        # A prepared plan knows no words: among 1,000,000 messages a rare one took 0.5 s by it, and 0.03 s by a plan of its own.
        self.execute("BEGIN READ ONLY; SET LOCAL enable_bitmapscan = on; SET LOCAL plan_cache_mode = force_custom_plan")

    def head(self) -> int:
        return int(self.execute(HEAD_SQL).fetchone()[0])

    def now_ms(self) -> int:
        """Return the server's clock, read within CLOCK_VALID_S: never ahead of it, nor before what this process has read of it."""
        if time.monotonic() - self._clock.since > CLOCK_VALID_S:
            self._record_clock(self.execute(CLOCK_SQL).fetchone()[0])
        return int(self._clock.ahead_ms + time.monotonic() * 1000)

    def _record_clock(self, now_ms: int) -> None:
        """Record a reading, which is a little old when it arrives: of several the one that is ahead of the others is the best."""
        now, known = time.monotonic(), self._clock
        ahead_ms = now_ms - now * 1000
        if now - known.since > CLOCK_VALID_S:
            self._clock = _ServerClock(now, ahead_ms)
        elif ahead_ms > known.ahead_ms:
            self._clock = _ServerClock(known.since, ahead_ms)

    def part_sql(self, count: int) -> str:
        """Use the hash of PostgreSQL's hash partitions, which does not change between versions."""
        return f"(hashtextextended(stream, 0) & {count - 1})"

    def version(self) -> int | None:
        return None

    def is_store_error(self, error: BaseException) -> bool:
        return isinstance(error, (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError))

    def configure_committer_connection(self) -> None:
        """Open the connection, which shows whether the server is up."""
        self._connection()

    def run_maintenance(self) -> None:
        """Do nothing: autovacuum and the checkpointer are the server's."""

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Acquire an advisory lock of the session, which ends with the connection.

        It is tried again and again: a statement that waits for it is a snapshot that CREATE INDEX CONCURRENTLY, run by the process
        that has the lock, would wait for.
        """
        self.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        self._connection().watchdog = None
        while not self.execute(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})").fetchone()[0]:
            time.sleep(MIGRATION_RETRY_S)
        try:
            yield
        finally:
            self.db.close()

    def encode_text(self, text: str) -> str:
        """Write NUL, which no column can store, as ESCAPE and 0, and ESCAPE itself as ESCAPE and 1."""
        if "\0" in text or ESCAPE in text:
            return text.replace(ESCAPE, ESCAPE + "1").replace("\0", ESCAPE + "0")
        return text

    def decode_text(self, text: str) -> str:
        if ESCAPE in text:
            return text.replace(ESCAPE + "0", "\0").replace(ESCAPE + "1", ESCAPE)
        return text

    def size_bytes(self) -> int:
        return int(self.execute("SELECT pg_database_size(current_database())").fetchone()[0])
