"""The sweeper removes unused files from the table and the folder, also after failures and kills."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from conf import Settings
from jobs import gauges
from jobs.upkeep import sweeper as sweeper_module
from jobs.upkeep.sweeper import Sweeper
from metrics.declared import FILES_STORED_BYTES
from models.blobs import blob as blobs
from models.blobs.folder import Folder
from models.chat import message
from models.community import post, removal
from models.files import comparing, usage
from models.files.upload import UploadLimits, begin
from models.log import event
from models.store.data_dir_lock import objects_stay
from models.store.database import execute, rows
from models.store.errors import StoreDownError
from tests.models.people import people, send
from tests.models.stored_files import store_file
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("one_clock")


class FailingFolder(Folder):
    """A folder that raises an error when it is to remove one of some objects."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.error: Exception = OSError("read-only file system")
        self.stuck: set[str] = set()
        self.calls: list[list[str]] = []

    def remove(self, keys: Sequence[str]) -> None:
        self.calls.append(list(keys))
        if self.stuck & set(keys):
            raise self.error
        super().remove(keys)


@pytest.fixture
def objects(store: Settings) -> FailingFolder:
    return FailingFolder(store.files_path)


@pytest.fixture
def sweeper(store: Settings, objects: FailingFolder) -> Sweeper:
    return Sweeper(store, objects=objects)


def keys() -> list[str]:
    """The keys in the table, in the order of their rows."""
    return [key for (key,) in rows("SELECT key FROM blobs ORDER BY id")]


def kept(objects: Folder) -> set[str]:
    """The keys in the folder."""
    return {key for key, _ in objects.sizes()}


def delete_message(user: int, sent: int) -> None:
    with event.transaction() as tx:
        message.delete(tx, user, "user", sent)


def test_the_objects_of_a_deleted_message_or_post_are_removed_and_then_their_rows(
    store: Settings, sweeper: Sweeper, objects: FailingFolder
) -> None:
    ana, ben = people("ana", "ben")
    ids = [store_file(objects, ana) for _ in range(5)]
    sent, other = send(ana, "", to=ben, files=ids[:2]), send(ana, "", to=ben, files=ids[2:3])
    with event.transaction() as tx:
        posted = post.create(tx, ana, None, "", ids[3:4])
    assert sweeper.sweep() == 0
    delete_message(ana, sent)
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", posted.id)
    assert kept(objects) == set(keys()), "nothing is removed by the transactions"
    assert sweeper.sweep() == 3
    assert kept(objects) == set(keys())
    assert [number for (number,) in rows("SELECT id FROM files ORDER BY id")] == [ids[2], ids[4]]
    assert [file.id for file in message.views([other])[0].files] == [ids[2]]


def test_many_objects_are_removed_in_several_transactions(
    sweeper: Sweeper, objects: FailingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "MAX_IDS_PER_STATEMENT", 2)
    ana, ben = people("ana", "ben")
    delete_message(ana, send(ana, "", to=ben, files=[store_file(objects, ana) for _ in range(5)]))
    assert sweeper.sweep() == 5
    assert [len(call) for call in objects.calls] == [2, 2, 1]
    assert (kept(objects), keys()) == (set(), [])


def test_a_file_that_nobody_sends_is_removed_after_a_day(store: Settings, objects: FailingFolder) -> None:
    ana, ben = people("ana", "ben")
    store_file(objects, ana)
    sent = store_file(objects, ana)
    send(ana, "", to=ben, files=[sent])
    with time_machine.travel(timedelta(hours=23)):
        young = store_file(objects, ana)
        assert Sweeper(store, objects=objects).sweep() == 0
    with time_machine.travel(timedelta(hours=25)):
        assert Sweeper(store, objects=objects).sweep() == 1
    assert [number for (number,) in rows("SELECT id FROM files ORDER BY id")] == [sent, young]
    assert kept(objects) == set(keys())


def test_an_upload_that_a_kill_has_left_is_removed_after_an_hour_and_its_reservation_is_given_back(
    store: Settings, objects: FailingFolder
) -> None:
    (ana,) = people("ana")
    limits = UploadLimits(1000, 5000)
    with event.transaction() as tx:
        left = begin(tx, ana, 700, limits)
        now_ms = tx.now_ms
    objects.writer(left.object.key).write(b"half of i")
    with time_machine.travel(timedelta(minutes=59)):
        assert (Sweeper(store, objects=objects).sweep(), usage.left(ana, now_ms, 5000)) == (0, 4300)
    with time_machine.travel(timedelta(minutes=61)):
        assert Sweeper(store, objects=objects).sweep() == 0, "a bucket may carry out a late request"
        assert usage.left(ana, now_ms, 5000) == 5000
    with time_machine.travel(timedelta(minutes=63)):
        assert Sweeper(store, objects=objects).sweep() == 1
    assert (kept(objects), keys(), usage.left(ana, now_ms, 5000)) == (set(), [], 5000)


def test_files_of_a_message_that_an_earlier_version_deleted_are_removed(
    sweeper: Sweeper, objects: FailingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.files.sweep.FILES_PER_CHECK", 2)
    ana, ben = people("ana", "ben")
    ids = [store_file(objects, ana) for _ in range(5)]
    sent = [send(ana, "", to=ben, files=[number]) for number in ids[:4]]
    with event.transaction() as tx:
        posted = post.create(tx, ana, None, "", ids[4:])
    execute("UPDATE messages SET body='', deleted_ms=1 WHERE id=?", (sent[2],))
    execute("UPDATE posts SET body='', deleted_ms=1 WHERE id=?", (posted.id,))
    assert message.views([sent[2]])[0].files == [], "its names are shown to nobody meanwhile"
    for _ in range(3):
        sweeper.expire()
    assert [number for (number,) in rows("SELECT id FROM files ORDER BY id")] == [ids[0], ids[1], ids[3]]
    assert sweeper.sweep() == 2
    assert kept(objects) == set(keys())
    assert comparing.row_faults() == comparing.RowFaults([], [], [], [])


def test_an_object_that_can_not_be_removed_delays_no_other(sweeper: Sweeper, objects: FailingFolder) -> None:
    ana, ben = people("ana", "ben")
    delete_message(ana, send(ana, "", to=ben, files=[store_file(objects, ana) for _ in range(3)]))
    stuck = keys()[0]
    objects.stuck = {stuck}
    with pytest.raises(OSError, match="read-only"):
        sweeper.sweep()
    assert kept(objects) == set(keys()) == {stuck}
    objects.stuck = set()
    assert sweeper.sweep() == 1
    assert (kept(objects), keys()) == (set(), [])


def test_nothing_is_removed_while_a_backup_copies_objects(store: Settings, sweeper: Sweeper, objects: FailingFolder) -> None:
    ana, ben = people("ana", "ben")
    delete_message(ana, send(ana, "", to=ben, files=[store_file(objects, ana)]))
    with objects_stay(store.data_dir):
        assert sweeper.sweep() == 0
        assert kept(objects) == set(keys())
    assert sweeper.sweep() == 1


def test_a_removal_without_its_row_is_repeated(sweeper: Sweeper, objects: FailingFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends between the two, as a kill would end it (promise 7)."""
    ana, ben = people("ana", "ben")
    delete_message(ana, send(ana, "", to=ben, files=[store_file(objects, ana)]))
    with monkeypatch.context() as patched:
        patched.setattr(sweeper_module.blobs, "forget", lambda tx, ids: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            sweeper.sweep()
    assert (kept(objects), len(keys())) == (set(), 1)
    assert sweeper.sweep() == 1
    assert keys() == []


def test_the_thread_survives_a_bucket_that_is_down_and_removes_everything_afterwards(
    store: Settings, sweeper: Sweeper, objects: FailingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(sweeper._backoff, "_max_s", 0.05)
    ana, ben = people("ana", "ben")
    sent = send(ana, "", to=ben, files=[store_file(objects, ana)])
    objects.stuck, objects.error = set(keys()), StoreDownError("the bucket of files can't be used")
    sweeper.start()
    delete_message(ana, sent)
    until(lambda: len(objects.calls) >= 3)
    assert sweeper.is_alive()
    objects.stuck = set()
    until(lambda: keys() == [])
    sweeper.stop()
    sweeper.join()
    assert kept(objects) == set()


def test_the_size_of_all_files_is_measured_with_the_other_gauges(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    first, second = (store_file(None, ana, content=b"x" * size) for size in (300, 45))
    delete_message(ana, send(ana, "", to=ben, files=[first]))
    monkeypatch.setattr(gauges, "_measure_files_at", 0.0)
    gauges.measure_store()
    assert FILES_STORED_BYTES._value.get() == 45
    assert second
