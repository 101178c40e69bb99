"""Moving the bytes of files from a folder to a bucket and back."""

import re
import secrets
from pathlib import Path

import pytest

from conf import Settings
from models.blobs.folder import Folder
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.chat import presence
from models.files import comparing
from models.files import file as files
from models.log import event
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import disconnect, execute, rows
from models.transfer import moving
from tests.commands.installation import Installation
from tests.models.people import people
from tests.models.stored_files import store_file
from tests.s3_server import S3Server, url_of
from tests.stores import PostgresServer, open_migrated

CONTENTS = [b"a picture", b"a song", b"", secrets.token_bytes(100_000)]


@pytest.fixture
def settings(bellwire: Installation) -> Settings:
    """The settings of an installation with four files in its folder."""
    settings = Settings(data_dir=bellwire.data)
    open_migrated(settings)
    (ana,) = people("ana")
    for content in CONTENTS:
        store_file(open_store(settings), ana, content)
    disconnect()
    return settings


def contents_of(objects: ObjectStore) -> dict[str, bytes]:
    return {key: b"".join(objects.read(key)) for key, _ in objects.sizes()}


def at(settings: Settings, url: str) -> ObjectStore:
    return open_store(settings.model_copy(update={"files_url": url}))


def remove_file(settings: Settings, file: int) -> None:
    """Remove a file and its object, as the sweeper does."""
    open_migrated(settings)
    with event.transaction() as tx:
        files.remove(tx, [file])
    open_store(settings).remove([key for (key,) in rows("SELECT key FROM blobs WHERE state='unused'")])
    execute("DELETE FROM blobs WHERE state='unused'")
    disconnect()


def test_files_move_to_a_bucket_and_back(bellwire: Installation, settings: Settings, s3: S3Server) -> None:
    url, before = s3.new_bucket(), contents_of(open_store(settings))
    printed = bellwire.succeed("files", "--to", url)
    assert "copied 4 objects" in printed
    assert f"BELLWIRE_FILES_URL={url}\n" in printed
    assert f"remove what is in {settings.files_path}." in printed
    assert contents_of(at(settings, url)) == before
    assert "0 orphans, 0 missing" in bellwire.succeed("doctor", FILES_URL=url)
    assert "nothing to do" in bellwire.succeed("files", "--to", url, FILES_URL=url)
    back = str(bellwire.folder / "back")
    assert "copied 4 objects" in bellwire.succeed("files", "--to", back, FILES_URL=url)
    assert contents_of(Folder(Path(back))) == before
    assert sorted(CONTENTS) == sorted(before.values())
    assert not list(bellwire.data.glob("moving-*"))


def test_a_second_move_copies_nothing(bellwire: Installation, settings: Settings, files_url: str) -> None:
    url = str(bellwire.folder / "elsewhere") if files_url == "files" else files_url
    assert "copied 4 objects" in bellwire.succeed("files", "--to", url)
    before = contents_of(at(settings, url))
    assert "copied 0 objects" in bellwire.succeed("files", "--to", url)
    assert contents_of(at(settings, url)) == before


class KilledError(Exception):
    """The process ends here."""


def test_a_move_that_is_killed_after_each_object_goes_on_and_has_what_is_there_in_the_end(
    settings: Settings, files_url: str
) -> None:
    url = "elsewhere" if files_url == "files" else files_url
    open_migrated(settings)

    def killed(_done: int, _total: int) -> None:
        raise KilledError

    kills = 0
    while True:
        try:
            moved = moving.move(settings, url, killed, is_last=True)
            break
        except KilledError:
            kills += 1
            assert len(contents_of(at(settings, url))) == kills
    assert (kills, moved.objects, moved.missing) == (4, 4, 0)
    assert contents_of(at(settings, url)) == contents_of(open_store(settings))


def test_what_is_removed_before_the_move_is_finished_is_removed_there(
    bellwire: Installation, settings: Settings, s3: S3Server
) -> None:
    url = s3.new_bucket()
    running = acquire_running_lock(settings.data_dir)
    done = bellwire.command("files", "--to", url)
    assert done.returncode == 1
    assert "stop them all, and run the same command again" in done.stdout
    running.close()
    remove_file(settings, 1)
    assert "removed 1 whose files were removed since" in bellwire.succeed("files", "--to", url)
    assert contents_of(at(settings, url)) == contents_of(open_store(settings))
    open_migrated(settings)
    assert comparing.compare(at(settings, url)).orphans == []


def test_a_place_with_other_objects_is_refused_and_left_alone(bellwire: Installation, settings: Settings, files_url: str) -> None:
    url = str(bellwire.folder / "elsewhere") if files_url == "files" else files_url
    at(settings, url).put("cd" * 16, bellwire.database)
    before = contents_of(at(settings, url))
    assert "other objects already, such as cdcd" in bellwire.refused("files", "--to", url)
    assert contents_of(at(settings, url)) == before


def test_objects_that_are_lost_are_named_and_the_rest_is_moved(bellwire: Installation, settings: Settings) -> None:
    missing, damaged, *_ = sorted(contents_of(open_store(settings)))
    open_store(settings).remove([missing])
    open_store(settings).put(damaged, bellwire.database)
    done = bellwire.command("files", "--to", "elsewhere")
    assert done.returncode == 1
    assert f"2 objects are missing or damaged where they were ({missing}, {damaged})" in done.stdout
    assert "moved: 2 objects" in done.stdout


def test_a_bucket_that_does_not_answer_is_named(bellwire: Installation, settings: Settings, s3: S3Server) -> None:
    refusal = bellwire.refused("files", "--to", url_of("http://127.0.0.1:1"))
    assert "error sending request" in refusal
    assert "run the same command again" in refusal
    assert "NoSuchBucket" in bellwire.refused("files", "--to", url_of(s3.endpoint, "no-such-bucket"))
    assert contents_of(open_store(settings)) != {}


@pytest.mark.parametrize(
    "url", ["s3://b", "s3://key:hunter2@bucket", "ftp://bucket", "files/below", "..", "s3://bucket?secret_access_key=hunter2"]
)
def test_a_place_that_can_not_be_one_is_refused(bellwire: Installation, settings: Settings, url: str) -> None:
    refusal = bellwire.refused("files", "--to", url)
    assert re.search("--to '.*': must be ", refusal)
    assert "hunter2" not in refusal
    assert contents_of(open_store(settings)) != {}


def test_gateways_of_other_hosts_are_noticed(bellwire: Installation, postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.create()
    try:
        open_migrated(Settings(data_dir=tmp_path, database_url=url, secret_key="k" * 40))
        with event.transaction(appends=False) as tx:
            presence.record_changes(tx, "gateway-1", [], [])
        store = {"DATABASE_URL": url, "SECRET_KEY": "k" * 40}
        done = bellwire.command("files", "--to", "elsewhere", **store)
        assert done.returncode == 1, done.stderr
        assert "stop them all" in done.stdout
        execute("DELETE FROM leases")
        assert "moved: 0 objects" in bellwire.succeed("files", "--to", "elsewhere", **store)
    finally:
        disconnect()
        postgres.drop(url)
