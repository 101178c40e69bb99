"""Checks of stored data: the database, its schema, the lag of background work, and the queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import peewee

from commands.advice import command_line
from commands.doctor.finding import Finding, fail, ok, warn
from conf import Settings
from models import schema
from models.accounts.deletion import Deletion
from models.ops import worker
from models.store.clock import now_ms
from models.store.data_dir_lock import NoLocksError, RestoringError, acquire_running_lock
from models.store.database import connect, disconnect, rows, size_bytes
from models.transfer import ledger

MIB = 2**20
AHEAD_MS = 5_000  # a normal difference between the clocks of two hosts
LATE_S = 60  # a running worker checks the log every half second
TIMEOUT_S = 3
MIN_POSTGRESQL = 14  # it reports when it may only be read


def store(chosen: Settings) -> Iterator[Finding]:
    """Open the store and check its content."""
    if chosen.database_url is None and not chosen.sqlite_path.exists():
        yield warn(
            f"store {chosen.sqlite_path}", f"it does not exist yet: {command_line('serve')} or {command_line('migrate')} creates it"
        )
        return
    try:
        acquire_running_lock(chosen.data_dir)
        connect(chosen)
        yield from _opened(chosen)
    except (RestoringError, NoLocksError) as error:
        yield fail("store", str(error))
    except (OSError, peewee.DatabaseError, peewee.InterfaceError) as error:
        yield fail("store", f"can't be used ({error}): if it is damaged, {command_line('restore')} restores a backup")
    finally:
        disconnect()


def _opened(chosen: Settings) -> Iterator[Finding]:
    if chosen.database_url is not None:
        yield _server()
    else:
        if (found := rows("PRAGMA quick_check(1)")[0][0]) != "ok":
            yield fail("store", f"is damaged ({found}): stop everything and {command_line('restore')} a backup")
            return
        yield ok(f"store: intact, {size_bytes() / MIB:.1f} MiB")
    try:
        schema.require_usable()
    except schema.NewerStoreError as error:
        yield fail("schema", str(error))
        return
    if names := schema.pending():
        yield fail(f"schema: {', '.join(names)} pending", f"run {command_line('migrate')}")
        return
    yield ok("schema: up to date")
    yield from _newest_event()
    yield _ledger(chosen)
    yield from _consumers(chosen)


def _server() -> Finding:
    """Check PostgreSQL's version, encoding and settings, and that it accepts writes."""
    ((version, encoding, standby, fsync),) = rows(
        "SELECT current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery(), "
        "current_setting('fsync')"
    )
    what = f"store: PostgreSQL {version}, {size_bytes() / MIB:.1f} MiB"
    if int(version.split(".")[0]) < MIN_POSTGRESQL:
        return fail(what, f"version {MIN_POSTGRESQL} or newer is needed")
    if encoding != "UTF8":
        return fail(what, f"its encoding is {encoding}: CREATE DATABASE … ENCODING 'UTF8'")
    if standby:
        return fail(what, "it is a standby: name the primary, or all hosts, in BELLWIRE_DATABASE_URL")
    return ok(what) if fsync == "on" else warn(what, "fsync is off: a power cut loses what was acknowledged")


def _newest_event() -> Iterator[Finding]:
    newest = rows("SELECT at_ms FROM events ORDER BY id DESC LIMIT 1")
    if newest and (ahead := newest[0][0] - now_ms()) > AHEAD_MS:
        yield fail(f"clock: the newest event is {ahead / 1000:.0f} s in the future", "set the clock, and use NTP")
    elif not rows("SELECT 1 FROM users WHERE role='admin' AND status='active' LIMIT 1"):
        yield warn("admins: none", command_line("create-admin --username NAME --email ADDRESS"))


def _ledger(chosen: Settings) -> Finding:
    """Check that the deletions are where a restored backup gets them from."""
    path, count = chosen.deletions_path, Deletion.select().count()
    try:
        missing = len(ledger.missing(path))
    except OSError as error:
        return fail("ledger of deletions", f"can't be read ({error}): see BELLWIRE_DELETIONS_LEDGER")
    if not missing:
        return ok(f"ledger of deletions: has all {count}")
    advice = "each start of a gateway or worker here writes them; hosts of one store best share BELLWIRE_DELETIONS_LEDGER"
    return warn(f"ledger of deletions: {missing} of {count} are not in {path}", advice)


def _consumers(chosen: Settings) -> Iterator[Finding]:
    from jobs import tasks
    from jobs.drain.backlog import consumer_lags

    tasks.bind(chosen)
    for consumer in consumer_lags(tasks.consumers.values()):
        what = f"consumer {consumer['consumer']}: {consumer['lag_s']:.0f} s behind"
        yield warn(what, "is a worker running?") if consumer["lag_s"] > LATE_S else ok(what)
    yield from _workers()
    ((dead,),) = rows("SELECT count(*) FROM dead_work")
    if dead:
        yield warn(f"dead work: {dead}", "GET /api/v1/admin/jobs shows the errors; POST …/jobs/ID/retry tries again")
    else:
        yield ok("dead work: none")


def _workers() -> Iterator[Finding]:
    workers = worker.all_workers()
    for entry in workers:
        doing = ", ".join(f"{busy['what']} since {busy['since']}" for busy in entry["running"])
        what = f"worker {entry['worker']}: {doing or 'idle'}"
        yield ok(what) if entry["alive"] else warn(what, f"no sign of life since {entry['seen_at']}: has it crashed?")
    if not workers:
        yield warn("workers: none", f"start one with {command_line('serve')} or {command_line('worker')}")


def queue(chosen: Settings) -> Iterator[Finding]:
    """Check that Redis answers, or that the queue's file can be written."""
    if chosen.redis_url is not None:
        yield _redis(chosen.redis_url)
    elif chosen.database_url is not None:
        yield ok("queue: in the database")
    elif not chosen.queue_path.exists():
        yield ok(f"queue {chosen.queue_path}: created when it is first used")
    else:
        yield _queue_file(chosen)


def _redis(url: str) -> Finding:
    import redis

    from jobs.infra.redis_client import create_client

    where = urlsplit(url)
    what = f"queue on Redis at {where.netloc.rpartition('@')[2] or where.path}"
    try:
        with closing(create_client(url, TIMEOUT_S)) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        return fail(what, f"does not answer ({error}): start it, or correct BELLWIRE_REDIS_URL")
    return ok(f"{what}: answers")


def _queue_file(chosen: Settings) -> Finding:
    what = f"queue {chosen.queue_path}"
    try:
        with closing(sqlite3.connect(chosen.queue_path, timeout=TIMEOUT_S, isolation_level=None)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        return fail(what, f"can't be used ({found}): stop everything and remove the file; its work is derived from the log again")
    return ok(f"{what}: can be written")
