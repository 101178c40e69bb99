import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conf import Settings
from models.blobs.folder import Folder
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.store.data_dir_lock import RestoringError, RunningError, acquire_exclusive, acquire_running_lock
from models.store.database import connect, disconnect
from tests.commands.installation import Installation, rows
from tests.models.stored_files import store_file
from tests.s3_server import S3Server
from tests.waiting import LIMIT_S

EPOCH = "SELECT value FROM facts WHERE name='epoch'"
USERS = "SELECT username FROM users ORDER BY id"
Make = Callable[[str], Installation]


def admin(bellwire: Installation, username: str) -> None:
    bellwire.succeed("create-admin", "--new", "--username", username, "--email", f"{username}@example.org")


def upload(bellwire: Installation, owner: int, content: bytes) -> None:
    settings = Settings(data_dir=bellwire.data)
    connect(settings)
    store_file(open_store(settings), owner, content)
    disconnect()


def contents_of(objects: ObjectStore) -> list[bytes]:
    return sorted(b"".join(objects.read(key)) for key, _ in objects.sizes())


def are_all_there(data: Path) -> bool:
    """Whether each object that the database knows is in the folder."""
    objects = Folder(data / "files")
    return all(objects.length(key) == length for key, length in rows(data / "bellwire.db", "SELECT key, bytes FROM blobs"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation and its backup, made once."""
    bellwire = Installation(tmp_path_factory.mktemp("original"))
    admin(bellwire, "ana")
    bellwire.write("INSERT INTO leases VALUES ('gateway-1', 1)")
    bellwire.write("INSERT INTO online VALUES (1, 'gateway-1', 1)")
    (bellwire.data / "secret").write_text("s" * 40 + "\n")
    upload(bellwire, 1, b"in the backup")
    bellwire.succeed("backup", str(bellwire.folder / "backup"))
    admin(bellwire, "bo")
    upload(bellwire, 2, b"a later file")
    return bellwire.folder


@pytest.fixture
def backed_up(make_installation: Make, original: Path) -> tuple[Installation, Path]:
    """An installation of the test's own and its backup, which is older: only `ana` is in it."""
    bellwire = make_installation("backed-up")
    shutil.copytree(original, bellwire.folder, dirs_exist_ok=True)
    return bellwire, bellwire.folder / "backup"


def kept(bellwire: Installation) -> list[Path]:
    return sorted(bellwire.data.glob("bellwire.db.before-restore-*"))


def test_a_restore_elsewhere_has_everything_and_a_new_epoch(backed_up: tuple[Installation, Path], make_installation: Make) -> None:
    old, folder = backed_up
    new = make_installation("new")
    printed = new.succeed("restore", str(folder))
    ((epoch,),) = new.rows(EPOCH)
    assert [(epoch,)] != old.rows(EPOCH)
    assert epoch in printed
    assert new.rows(USERS) == [("ana",)]
    assert new.rows("SELECT count(*) FROM leases") == new.rows("SELECT count(*) FROM online") == [(0,)]
    assert (new.data / "secret").read_text() == "s" * 40 + "\n"
    assert not kept(new)
    new.succeed("migrate")
    assert new.succeed("token", "ana")


def test_each_restore_has_an_epoch_of_its_own(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    epochs = set(bellwire.rows(EPOCH))
    for _ in range(2):
        bellwire.succeed("restore", str(folder), "--force")
        epochs |= set(bellwire.rows(EPOCH))
    assert len(epochs) == 3


def test_a_database_that_is_there_is_replaced_by_force_only(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    before = bellwire.rows(EPOCH)
    assert "--force" in bellwire.refused("restore", str(folder))
    assert bellwire.rows(USERS) == [("ana",), ("bo",)]
    assert bellwire.rows(EPOCH) == before
    bellwire.succeed("restore", str(folder), "--force")
    assert bellwire.rows(USERS) == [("ana",)]


def test_the_old_database_is_kept_with_what_only_its_wal_held(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    copy = bellwire.folder / "copy"
    with closing(sqlite3.connect(bellwire.database)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        with connection:
            connection.execute("UPDATE users SET username='bobby' WHERE username='bo'")
        shutil.copytree(bellwire.data, copy)  # as a crash would leave it: the change is in the WAL alone
    assert (copy / "bellwire.db-wal").stat().st_size > 0
    bellwire.succeed("restore", str(folder), "--force", DATA_DIR=str(copy))
    (old,) = copy.glob("bellwire.db.before-restore-*")
    assert rows(old, USERS) == [("ana",), ("bobby",)]
    assert rows(copy / "bellwire.db", USERS) == [("ana",)]


def test_the_old_queue_and_side_files_go(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    stale = [f"{name}{side}" for name in ("bellwire.db", "huey.db") for side in ("-wal", "-shm")]
    for name in ("huey.db", *stale):
        (bellwire.data / name).write_bytes(b"stale")
    bellwire.succeed("restore", str(folder), "--force")
    assert not [name for name in ("huey.db", *stale) if (bellwire.data / name).exists()]
    assert bellwire.rows(USERS) == [("ana",)]


def test_another_secret_is_kept_beside(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    (bellwire.data / "secret").write_text("another-secret-entirely\n")
    bellwire.succeed("restore", str(folder), "--force")
    assert (bellwire.data / "secret").read_text() == "s" * 40 + "\n"
    (old,) = bellwire.data.glob("secret.before-restore-*")
    assert old.read_text() == "another-secret-entirely\n"


@pytest.mark.parametrize("name", ["bellwire.db", "secret"])
def test_a_corrupted_file_is_refused_and_nothing_changes(backed_up: tuple[Installation, Path], name: str) -> None:
    bellwire, folder = backed_up
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    done = bellwire.command("restore", str(folder), "--force")
    assert done.returncode == 2
    assert "checksum" in done.stderr
    assert name in done.stderr
    assert bellwire.rows(USERS) == [("ana",), ("bo",)]
    assert not kept(bellwire)


def test_a_damaged_database_with_the_right_checksum_is_refused(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    with (folder / "bellwire.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["bellwire.db"]["sha256"] = hashlib.sha256((folder / "bellwire.db").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "damaged" in bellwire.refused("restore", str(folder), "--force")
    assert bellwire.rows(USERS) == [("ana",), ("bo",)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "format 99"),
        ({"migrations": ["0001_initial", "9999_later"]}, "9999_later"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "names files"),
        ({"epoch": 1}, "damaged"),
    ],
)
def test_a_manifest_that_can_not_be_followed_is_refused(
    backed_up: tuple[Installation, Path], change: dict[str, object], said: str
) -> None:
    bellwire, folder = backed_up
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    assert said in bellwire.refused("restore", str(folder), "--force")


def test_an_unfinished_backup_is_refused(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    (folder / "manifest.json").unlink()
    assert "not a finished backup" in bellwire.refused("restore", str(folder), "--force")


def test_nothing_is_restored_under_what_runs(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    held = acquire_running_lock(bellwire.data)
    assert "stop it first" in bellwire.refused("restore", str(folder), "--force")
    held.close()
    bellwire.succeed("restore", str(folder), "--force")


def test_a_database_that_another_program_has_open_is_not_replaced(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    with closing(sqlite3.connect(bellwire.database)) as connection:
        connection.execute("SELECT count(*) FROM users").fetchone()
        done = bellwire.command("restore", str(folder), "--force")
    assert done.returncode == 2
    assert "open in another program" in done.stderr
    assert bellwire.rows(USERS) == [("ana",), ("bo",)]


def test_a_database_too_damaged_to_open_is_kept_as_it_is(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    bellwire.database.write_bytes(b"nothing" * 1000)
    bellwire.succeed("restore", str(folder), "--force")
    assert bellwire.rows(USERS) == [("ana",)]
    assert [path.read_bytes() for path in kept(bellwire)] == [b"nothing" * 1000]


def test_nothing_starts_during_a_restore(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    with acquire_exclusive(bellwire.data):
        assert "a restore is running" in bellwire.refused("migrate", status=3)
        assert "a restore is running" in bellwire.refused("worker", status=3)
        with pytest.raises(RestoringError):
            acquire_running_lock(bellwire.data)
        with pytest.raises(RunningError), acquire_exclusive(bellwire.data):
            pass
    bellwire.succeed("migrate")


def test_a_restore_killed_at_any_step_leaves_one_whole_database(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    (bellwire.data / "huey.db").write_bytes(b"stale")
    ((old,), (backup,)) = bellwire.rows(EPOCH)[0], rows(folder / "bellwire.db", EPOCH)[0]
    assert old == backup
    copies = bellwire.folder / "copies"
    process = bellwire.start(Path(__file__).with_name("killed.py"), bellwire.data, folder, copies)
    kills = int(process.communicate(timeout=LIMIT_S)[0])
    assert kills > 10
    seen = set()
    for number in range(1, kills + 1):
        database = copies / str(number) / "bellwire.db"
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        ((epoch,),) = rows(database, EPOCH)
        assert are_all_there(copies / str(number))
        state = (epoch == old, tuple(name for (name,) in rows(database, USERS)))
        assert state in {(True, ("ana", "bo")), (False, ("ana",))}
        seen.add(state)
    assert len(seen) == 2
    middle = str(copies / str(kills // 2))
    bellwire.succeed("restore", str(folder), "--force", DATA_DIR=middle)
    assert rows(Path(middle) / "bellwire.db", USERS) == [("ana",)]
    assert not list(Path(middle).glob("*.restoring"))
    assert contents_of(Folder(Path(middle) / "files")) == [b"in the backup"]


def test_the_files_of_the_backup_come_back_and_later_ones_are_put_beside(
    backed_up: tuple[Installation, Path], make_installation: Make
) -> None:
    old, folder = backed_up
    new = make_installation("new")
    assert "restored 1 objects of files\n" in new.succeed("restore", str(folder))
    assert contents_of(Folder(new.data / "files")) == [b"in the backup"]
    assert "kept 1 objects of later files in" in old.succeed("restore", str(folder), "--force")
    assert contents_of(Folder(old.data / "files")) == [b"in the backup"]
    (beside,) = old.data.glob("files.before-restore-*")
    assert contents_of(Folder(beside)) == [b"a later file"]
    assert are_all_there(old.data)
    assert are_all_there(new.data)


@pytest.mark.parametrize("damage", [b"in the BACKUP", b"short", None])
def test_an_object_that_is_damaged_in_the_backup_is_named_and_all_else_restored(
    backed_up: tuple[Installation, Path], make_installation: Make, damage: bytes | None
) -> None:
    _, folder = backed_up
    new = make_installation("new")
    ((path, key),) = [(path, path.name) for path in (folder / "files").rglob("*") if path.is_file()]
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert f"; 1 are missing or damaged in the backup ({key})" in new.succeed("restore", str(folder))
    assert new.rows(USERS) == [("ana",)]
    assert contents_of(Folder(new.data / "files")) == []


def test_an_object_that_is_damaged_where_it_is_kept_is_mended(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    live, ((key,),) = Folder(bellwire.data / "files"), rows(folder / "bellwire.db", "SELECT key FROM blobs")
    live.remove([key])  # else the damage would be the backup's, too
    live.local_path(key).write_bytes(b"IN the backup")
    bellwire.succeed("restore", str(folder), "--force")
    assert contents_of(live) == [b"in the backup"]


def test_files_are_restored_into_a_bucket(backed_up: tuple[Installation, Path], make_installation: Make, s3: S3Server) -> None:
    _, folder = backed_up
    url = s3.new_bucket()
    assert "restored 1 objects" in make_installation("new").succeed("restore", str(folder), FILES_URL=url)
    assert contents_of(open_store(Settings(files_url=url))) == [b"in the backup"]
    manifest = json.loads((folder / "manifest.json").read_text()) | {"objects": None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert f"of its 1 objects, {url} lacks 0" in make_installation("third").succeed("restore", str(folder), FILES_URL=url)


def test_an_account_that_was_deleted_after_the_backup_is_deleted_again(backed_up: tuple[Installation, Path]) -> None:
    bellwire, folder = backed_up
    ((ana, created_ms),) = bellwire.rows("SELECT id, created_ms FROM users WHERE username='ana'")
    lines = [(ana, created_ms), (ana + 1, created_ms)]  # the other is not in the backup
    entries = [{"user": user, "created_ms": at_ms, "texts": "erase", "deleted_ms": 1} for user, at_ms in lines]
    ledger = "\n".join(json.dumps(entry) for entry in entries) + '\n{"user":1,"crea'
    (bellwire.data / "deletions.ndjson").write_text(ledger)
    assert "1 account that was deleted after the backup" in bellwire.succeed("restore", "--force", str(folder))
    assert bellwire.rows(USERS) == [(f"deleted-{ana}",)]
    assert bellwire.rows("SELECT user_id, texts FROM deletions") == [(ana, "erase")]
    bellwire.succeed("restore", "--force", str(folder), DELETIONS_LEDGER=str(bellwire.folder / "elsewhere"))
    assert bellwire.rows(USERS) == [("ana",)]
