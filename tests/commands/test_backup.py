import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from conf import Settings
from models import schema
from models.blobs.bucket import Bucket
from models.blobs.folder import Folder
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.log import event
from models.records import activity
from models.store.data_dir_lock import objects_may_go
from models.store.database import connect, disconnect
from models.store.errors import StoreDownError
from models.transfer import backup
from models.transfer.manifest import BackupError
from models.transfer.object_copies import CopiedObjects
from tests.commands.installation import Installation, rows
from tests.models.people import people
from tests.models.stored_files import store_file
from tests.s3_server import S3Server
from tests.stores import full_disk, open_migrated
from tests.waiting import LIMIT_S

WRITER = Path(__file__).with_name("writing.py")
FILLER = "INSERT INTO activities (action, description, metadata, at_ms) SELECT 'filler', printf('%.4000c', 'x'), '{}', value"
ROWS = " FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value+1 FROM n WHERE value<?) SELECT value FROM n)"
FILLERS = 8_000  # about 32 MB: several steps of a backup


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def made(bellwire: Installation) -> Path:
    """A backup of an installation with one admin and a secret."""
    bellwire.succeed("create-admin", "--new", "--username", "ana", "--email", "ana@example.org")
    (bellwire.data / "secret").write_text("s" * 40 + "\n")
    folder = bellwire.folder / "backups" / "first"
    bellwire.succeed("backup", str(folder))
    return folder


def test_a_backup_holds_the_database_the_secret_and_what_describes_them(bellwire: Installation) -> None:
    folder = made(bellwire)
    described = manifest(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["bellwire.db", "manifest.json", "secret"]
    assert sorted(described["files"]) == ["bellwire.db", "secret"]
    for name, file in described["files"].items():
        content = (folder / name).read_bytes()
        assert file == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert described["rows"]["users"] == 1
    assert "0001_initial" in described["migrations"]
    assert [(described["epoch"],)] == bellwire.rows("SELECT value FROM facts WHERE name='epoch'")
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_the_secret_stays_out_when_it_is_a_setting(bellwire: Installation) -> None:
    made(bellwire)
    folder = bellwire.folder / "other"
    bellwire.succeed("backup", str(folder), SECRET_KEY="k" * 32)
    assert sorted(manifest(folder)["files"]) == ["bellwire.db"]
    assert not (folder / "secret").exists()


def test_a_folder_that_is_not_empty_is_left_alone(bellwire: Installation) -> None:
    folder = made(bellwire)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "not empty" in bellwire.refused("backup", str(folder))
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_without_a_database_there_is_no_backup(bellwire: Installation) -> None:
    assert "no database" in bellwire.refused("backup", str(bellwire.folder / "backup"))
    assert not (bellwire.folder / "backup").exists()


def test_a_damaged_database_is_not_passed_off_as_a_backup(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    with bellwire.database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    folder = bellwire.folder / "backup"
    assert "damaged" in bellwire.refused("backup", str(folder))
    assert list(folder.iterdir()) == []


def test_a_backup_of_what_is_constantly_written_is_consistent_and_stops_no_writer(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    bellwire.write(FILLER + ROWS, FILLERS)
    writer = bellwire.start(WRITER)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    folder = bellwire.folder / "backup"
    bellwire.succeed("backup", str(folder))
    transactions = int(writer.communicate("", timeout=LIMIT_S)[0])
    assert writer.returncode == 0
    described = manifest(folder)
    ids = [i for (i,) in rows(folder / "bellwire.db", "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, described["newest_event"] + 1))
    assert 3 <= len(ids) < 3 * transactions  # taken amid the writing
    assert described["rows"]["events"] == len(ids)
    assert described["rows"]["activities"] == FILLERS + len(ids) // 3
    assert bellwire.rows("SELECT count(*) FROM events") == [(3 * transactions,)]


def test_commits_between_two_steps_neither_wait_nor_get_into_the_copy(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    connect(settings)
    try:
        schema.migrate()
        with event.transaction() as tx:
            activity.record([(None, "filler", "x" * 4000, "{}", None, None, tx.now_ms)] * FILLERS)
        steps: list[int] = []

        def commit(done: int, _total: int) -> None:
            steps.append(done)
            assert len(steps) < 100, "the copy begins again at each commit"
            with event.transaction() as tx:
                tx.append("user:1", "written", b"{}")

        described = backup.make(settings, tmp_path / "backup", commit)
        assert len(steps) > 2
        assert steps == sorted(set(steps))
        assert described.newest_event == 0
        assert event.head() == len(steps)
    finally:
        disconnect()


def test_a_backup_that_breaks_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    connect(settings)
    schema.migrate()
    disconnect()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "fsync", full)
    with pytest.raises(BackupError, match="No space left"):
        backup.make(settings, tmp_path / "backup")
    assert list((tmp_path / "backup").iterdir()) == []
    monkeypatch.undo()
    with full_disk(100_000), pytest.raises(BackupError, match="disk"):
        backup.make(settings, tmp_path / "backup")
    assert list((tmp_path / "backup").iterdir()) == []
    backup.make(settings, tmp_path / "backup")


def with_files(settings: Settings, *contents: bytes) -> dict[str, bytes]:
    """A store with files of these contents, with a thumbnail each. Returns the content of each object by its key."""
    open_migrated(settings)
    (ana,) = people("ana")
    for content in contents:
        store_file(open_store(settings), ana, content, b"smaller " + content)
    disconnect()
    return contents_of(open_store(settings))


def contents_of(objects: ObjectStore) -> dict[str, bytes]:
    return {key: b"".join(objects.read(key)) for key, _ in objects.sizes()}


def test_the_objects_of_files_are_hard_links(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    objects = with_files(settings, b"a picture", b"a song")
    made = backup.make(settings, tmp_path / "backup")
    assert contents_of(Folder(tmp_path / "backup" / "files")) == objects
    assert made.objects == CopiedObjects(count=4, bytes=sum(map(len, objects.values())))
    for key in objects:
        there = Folder(tmp_path / "backup" / "files").local_path(key)
        assert there.samefile(Folder(settings.files_path).local_path(key))
        assert stat.S_IMODE(there.stat().st_mode) == 0o600


def test_on_another_disk_they_are_copies_that_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    objects = with_files(settings, b"a picture", b"a song")
    damaged, *whole = sorted(objects)
    Folder(settings.files_path).local_path(damaged).write_bytes(objects[damaged][::-1])

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    made = backup.make(settings, tmp_path / "backup")
    assert contents_of(Folder(tmp_path / "backup" / "files")) == {key: objects[key] for key in whole}
    assert made.objects is not None
    assert (made.objects.count, made.objects.lost_keys) == (3, [damaged])


def test_an_object_that_is_missing_is_named_and_the_rest_is_there(bellwire: Installation) -> None:
    settings = Settings(data_dir=bellwire.data)
    objects = with_files(settings, b"a picture")
    gone = max(objects)
    Folder(settings.files_path).remove([gone])
    printed = bellwire.succeed("backup", str(bellwire.folder / "backup"))
    assert f"files: 1 objects, 0.0 MiB; 1 are missing or damaged where they are kept ({gone})" in printed


def test_no_object_is_removed_during_a_backup(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with_files(settings, b"a picture")
    seen = []

    def progress(_done: int, _total: int) -> None:
        with objects_may_go(settings.data_dir) as allowed:
            seen.append(allowed)

    backup.make(settings, tmp_path / "backup", progress)
    assert seen == [False] * len(seen) != []
    with objects_may_go(settings.data_dir) as allowed:
        assert allowed


def test_files_in_a_bucket_are_copied_if_that_is_requested(bellwire: Installation, s3: S3Server) -> None:
    url = s3.new_bucket()
    objects = with_files(Settings(data_dir=bellwire.data, files_url=url), b"a picture")
    printed = bellwire.succeed("backup", str(bellwire.folder / "without"), FILES_URL=url)
    assert f"without the files, which stay in {url}" in printed
    assert manifest(bellwire.folder / "without")["objects"] is None
    assert "files: 2 objects" in bellwire.succeed("backup", "--files", str(bellwire.folder / "with"), FILES_URL=url)
    assert contents_of(Folder(bellwire.folder / "with" / "files")) == objects


def test_a_bucket_that_does_not_answer_ends_the_backup(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path / "data", files_url=s3.new_bucket())
    with_files(settings, b"a picture")

    def refuse(*_: object) -> None:
        raise StoreDownError("the bucket of files can't be used (SlowDown)")

    monkeypatch.setattr(Bucket, "read", refuse)
    with pytest.raises(BackupError, match="SlowDown"):
        backup.make(settings, tmp_path / "backup")
    assert list((tmp_path / "backup").iterdir()) == []
