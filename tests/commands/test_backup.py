import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from conf import Settings
from models import schema
from models.log import event
from models.records import activity
from models.store.database import connect, disconnect
from models.transfer import backup
from models.transfer.manifest import BackupError
from tests.commands.installation import Installation, rows
from tests.stores import full_disk
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
