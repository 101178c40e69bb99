"""Old records are moved to files or detached tables, and each is in exactly one of them even after a crash."""

import gzip
import hashlib
import itertools
import re
from collections.abc import Sequence
from threading import Event, Thread

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.upkeep import archive as archiving
from models.log import event
from models.records import activity, archive, archived_tables, audit, partition_months, partitions, records
from models.records.archive import RECORD_TYPES, ArchiveError
from models.records.export import Export
from models.records.partition_months import month_of
from models.records.records import RecordFilter
from models.store.clock import now_ms
from models.store.database import engine, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar
from tests.stores import full_disk
from tests.waiting import LIMIT_S, until

DAY_MS = 24 * 3_600_000
KEPT_DAYS = 90
ARCHIVING = "tasks.archiver.run(lambda: False)"


def record(user: int, *days_ago: float, action: str = "shop.bought", site: str | None = None) -> None:
    """Records of so many days ago."""
    now = now_ms()
    activity.record([(user, action, f"{days:.3f}", "{}", None, site, round(now - days * DAY_MS)) for days in days_ago])


def years(user: int) -> None:
    """Records of a year: some 275 of them are old, of ten months. Half of these months have partitions, where there are any."""
    if engine().name == "postgresql":
        for number in range(3, 13, 2):
            partitions.create(activity.RECORD_TYPE, partition_months.start_of(now_ms() - number * 30 * DAY_MS))
    record(user, *(float(days) for days in range(365, 0, -1)))


def archived() -> int:
    """Has all that is old archived; returns how much that was."""
    return tasks.archiver.run(lambda: False)


def exported(settings: Settings, **filters: object) -> list[str]:
    """Descriptions of what an export gives."""
    found = b"".join(Export(activity.RECORD_TYPE, RecordFilter(**filters), archive.folder(settings.data_dir)).steps())
    return [msgspec.json.decode(line)["description"] for line in found.splitlines()]


def filed(settings: Settings) -> list[int]:
    """Ids that the files have, whole as they are; or the detached tables."""
    files = sorted(archive.folder(settings.data_dir).glob("*.gz"))
    in_files = [msgspec.json.decode(line)["id"] for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]
    tables = archived_tables.list_tables(activity.RECORD_TYPE)
    return in_files + [number for table in tables for (number,) in rows(f"SELECT id FROM {table} ORDER BY at_ms, id")]


def kept() -> list[int]:
    return [number for (number,) in rows("SELECT id FROM activities ORDER BY at_ms, id")]


@pytest.mark.only("sqlite")
def test_old_records_move_to_monthly_files_with_checksums(store: Settings) -> None:
    (ana,) = people("ana")
    years(ana)
    before, ids = exported(store), kept()
    assert archived() == 365 - KEPT_DAYS + 1
    assert filed(store) + kept() == ids
    assert exported(store) == before == [f"{days:.3f}" for days in range(365, 0, -1)]
    folder = archive.folder(store.data_dir)
    files = sorted(folder.glob("*.ndjson.gz"))
    assert 9 <= len(files) <= 11
    assert files[0].name == f"activity-{month_of(now_ms() - 365 * DAY_MS)}.ndjson.gz"
    for path in files:
        checksum = (folder / f"{path.name}.sha256").read_text()
        assert checksum == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert archived() == 0


@pytest.mark.only("sqlite")
def test_a_full_disk_moves_no_record_and_leaves_no_file(store: Settings) -> None:
    (ana,) = people("ana")
    years(ana)
    before = kept()
    archive.create_folder(archive.folder(store.data_dir))
    with full_disk(100), pytest.raises(OSError, match="too large"):
        archived()
    assert (kept(), filed(store)) == (before, [])
    assert not list(archive.folder(store.data_dir).glob("*.ndjson.gz*"))
    archived()
    assert sorted(filed(store) + kept()) == before


@pytest.mark.only("postgresql")
def test_months_all_of_which_is_old_become_tables_of_their_own(store: Settings) -> None:
    (ana,) = people("ana")
    years(ana)
    before, ids = exported(store), kept()
    assert archived() > 0
    assert filed(store) + kept() == ids
    assert exported(store) == before == [f"{days:.3f}" for days in range(365, 0, -1)]
    first, last = partition_months.start_of(now_ms() - 365 * DAY_MS), partition_months.start_of(now_ms() - KEPT_DAYS * DAY_MS)
    assert list(archived_tables.list_tables(activity.RECORD_TYPE).values()) == list(
        itertools.takewhile(lambda m: m < last, following(first))
    )
    assert partitions.existing_months(activity.RECORD_TYPE) == list(itertools.takewhile(lambda m: m <= ahead(), following(last)))
    assert scalar("SELECT count(*) FROM activities_rest") == 0
    assert archived() == 0
    assert list(archive.folder(store.data_dir).glob("*")) == []


def following(month: int) -> "itertools.accumulate[int]":
    """The beginnings of months, from one on."""
    return itertools.accumulate(itertools.repeat(month), lambda last, _: partition_months.end_of(last))


def ahead() -> int:
    """The last month that is made ahead."""
    return next(itertools.islice(following(partition_months.start_of(now_ms())), partitions.MONTHS_AHEAD, None))


def test_audit_records_are_archived_in_the_same_way(store: Settings) -> None:
    (root,) = people("root", role="admin")
    for _ in range(3):
        with event.transaction(appends=False) as tx:
            tx.now_ms -= 130 * DAY_MS
            audit.record(tx, audit.AdminCall(root, "GET /api/v1/admin/users", "/api/v1/admin/users", b"{}", audit.READ, "::1", "a"))
    assert archived() == (2 if engine().name == "sqlite" else 3), "in a file, where the newest stays for its id"
    lines = b"".join(Export(audit.RECORD_TYPE, RecordFilter(), archive.folder(store.data_dir)).steps()).splitlines()
    assert [msgspec.json.decode(line)["id"] for line in lines] == [1, 2, 3]
    assert msgspec.json.decode(lines[0])["outcome"] == "read"


def test_an_export_of_both_is_filtered_alike(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    record(ana, 200, 150, 100, 50, 1)
    record(ben, 201, 151, 2, action="shop.looked", site="north")
    archived()
    assert exported(store, user=ben) == ["201.000", "151.000", "2.000"]
    assert exported(store, action="shop.looked", user=ana) == []
    assert exported(store, site="north") == ["201.000", "151.000", "2.000"]
    assert exported(store, user=ana, since_ms=now_ms() - 151 * DAY_MS, until_ms=now_ms() - 2 * DAY_MS) == [
        "150.000",
        "100.000",
        "50.000",
    ]


def test_an_export_goes_on_while_records_are_moved(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    years(ana)
    monkeypatch.setattr("models.records.export.MAX_LINES_PER_STEP", 50)
    monkeypatch.setattr(archiving, "ROWS_PER_TRANSACTION", 20)
    monkeypatch.setattr("jobs.upkeep.partitioner.ROWS_PER_TRANSACTION", 20)
    found, moved = b"", 0
    for step in Export(activity.RECORD_TYPE, RecordFilter(), archive.folder(store.data_dir)).steps():
        found += step
        calls = itertools.count()
        moved += tasks.archiver.run(lambda calls=calls: next(calls) == 4)
    assert [msgspec.json.decode(line)["description"] for line in found.splitlines()] == [f"{d:.3f}" for d in range(365, 0, -1)]
    assert moved > 100


def test_killed_between_any_two_commits_nothing_is_lost_or_doubled(store: Settings) -> None:
    (ana,) = people("ana")
    years(ana)
    before, ids = exported(store), kept()
    for commit, when in ((1, "before"), (2, "after"), (6, "before")):
        killed_at(store, ARCHIVING, commit, when)
        assert exported(store) == before
    archived()
    assert filed(store) + kept() == ids
    assert exported(store) == before
    assert len(list(archive.folder(store.data_dir).glob("*.sha256"))) == len(
        {name for (name,) in rows("SELECT name FROM archive_files")}
    )


def test_a_pause_ends_when_the_process_stops(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    record(ana, *[130.0] * (3 * archiving.ROWS_PER_TRANSACTION))
    monkeypatch.setattr(archiving, "PAUSE_FACTOR", 1e9)
    monkeypatch.setattr(tasks, "stopping", Event())
    resting = Thread(target=tasks.archive, args=(tasks.stopping.is_set,), daemon=True)
    resting.start()
    until(lambda: len(kept()) == 2 * archiving.ROWS_PER_TRANSACTION)
    tasks.stopping.set()
    resting.join(LIMIT_S)
    assert not resting.is_alive()
    assert len(kept()) == 2 * archiving.ROWS_PER_TRANSACTION


@pytest.mark.only("sqlite")
def test_a_torn_end_is_truncated(store: Settings) -> None:
    (ana,) = people("ana")
    years(ana)
    before, ids = exported(store), kept()
    moved = 0

    def stop() -> bool:
        nonlocal moved
        moved += 1
        return moved > 3

    tasks.archiver.run(stop)
    for path in archive.folder(store.data_dir).glob("*.gz"):
        path.write_bytes(path.read_bytes() + gzip.compress(b'{"id":1}\n' * 20)[:-9])
    assert exported(store) == before
    archived()
    assert filed(store) + kept() == ids


@pytest.mark.only("sqlite")
def test_a_moved_file_is_begun_anew_and_a_truncated_one_is_an_error(store: Settings) -> None:
    (ana,) = people("ana")
    record(ana, 100.1, 100.0, 1)
    archived()
    (file,) = archive.folder(store.data_dir).glob("*.gz")
    file.rename(store.data_dir / "elsewhere.gz")
    assert exported(store) == ["1.000"]
    record(ana, 100.1, 1)
    assert archived() == 1
    assert len(filed(store)) == 1
    file.write_bytes(b"")
    record(ana, 100.1, 1)
    with pytest.raises(ArchiveError):
        archived()
    tasks.archive()
    assert scalar("SELECT count(*) FROM activities") == 4, "records that cannot be moved stay"


def test_ids_go_on_though_everything_is_old(store: Settings) -> None:
    (ana,) = people("ana")
    record(ana, 130, 130, 130)
    archived()
    record(ana, 1)
    assert (filed(store) + kept())[-2:] == [3, 4]


@pytest.mark.only("sqlite")
def test_only_one_archiver_runs_at_a_time(store: Settings) -> None:
    (ana,) = people("ana")
    record(ana, 100, 1)
    archive.create_folder(archive.folder(store.data_dir))
    with archiving.exclusive(archive.folder(store.data_dir)) as acquired:
        assert acquired
        assert archived() == 0
    assert archived() == 1


def planned(sql: str, params: Sequence[object]) -> str:
    """The query plan of a statement."""
    explain = "EXPLAIN QUERY PLAN " if engine().name == "sqlite" else "EXPLAIN "
    return " / ".join(str(line[-1]) for line in rows(explain + sql, params))


def test_a_page_is_read_from_one_index_in_order(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    years(ana)
    record(ana, *([1.0] * 2000))
    plans: list[str] = []
    monkeypatch.setattr(records, "rows", lambda sql, params: plans.append(planned(sql, params)) or [])
    leads = {
        "at_ms": RecordFilter(),
        "user_id": RecordFilter(ana),
        "action": RecordFilter(action="shop.bought"),
        "site": RecordFilter(site="s"),
    }
    for kind in RECORD_TYPES:
        for lead, record_filter in [*leads.items(), ("user_id", RecordFilter(ana, "a", "s", 5, 9))]:
            plans.clear()
            records.list_newest(kind, record_filter, None, 50)
            records.list_oldest(kind, record_filter, (7, 7), 50)
            for plan in plans:
                found = re.findall(rf"SEARCH {kind.table} USING INDEX \w+ \(+{lead}|Index Cond: .*?ROW\(+{lead}", plan)
                assert len(found) == (1 if engine().name == "sqlite" else plan.count("Index Scan")), plan
                assert not re.search("Sort(?! Key)|TEMP|Seq Scan|Bitmap", plan), plan
