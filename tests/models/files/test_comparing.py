"""Comparing tables and store finds each difference, and no other, also while uploads and removals go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf import Settings
from models.blobs import blob as blobs
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.chat import message
from models.chat.message import Draft
from models.files import comparing
from models.files import file as files
from models.files.comparing import RowFaults, Unfinished
from models.log import event
from models.store.database import execute, rows
from tests.models.people import people
from tests.models.stored_files import store_blob, store_file

UNKNOWN = "cd" * 16
HOUR_MS = 3_600_000


@pytest.fixture
def objects(store: Settings, files_url: str) -> ObjectStore:
    """The store of objects of a new store."""
    return open_store(store.model_copy(update={"files_url": files_url}))


def key_of(blob: int) -> str:
    return str(rows("SELECT key FROM blobs WHERE id=?", (blob,))[0][0])


def uploaded(objects: ObjectStore) -> tuple[int, list[str]]:
    """A file with a thumbnail, which its owner has sent: its id, and the keys of both objects."""
    ana, ben = people("ana", "ben")
    file = store_file(objects, ana, b"a picture", b"smaller")
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "", to=ben, files=[file])])
    return file, [key for (key,) in rows("SELECT key FROM blobs ORDER BY id")]


def remove(objects: ObjectStore, file: int, keys: list[str]) -> None:
    """Remove a file and its objects, as the sweeper does."""
    with event.transaction() as tx:
        files.remove(tx, [file])
    objects.remove(keys)
    execute("DELETE FROM blobs WHERE state='unused'")


def test_a_store_as_it_is_to_be_has_no_faults(objects: ObjectStore) -> None:
    uploaded(objects)
    assert comparing.compare(objects, checksums=True) == (2, len(b"a picturesmaller"), [], [], [])
    assert comparing.row_faults() == RowFaults([], [], [], [])


def test_objects_that_are_missing_shorter_changed_or_unknown_are_found(objects: ObjectStore, tmp_path: Path) -> None:
    _, (content, thumbnail) = uploaded(objects)
    (shorter, changed) = (store_blob(objects, b"0123456789") for _ in range(2))
    (tmp_path / "other").write_bytes(b"012")
    (tmp_path / "same length").write_bytes(b"0123456780")
    objects.put(key_of(shorter), tmp_path / "other")
    objects.put(key_of(changed), tmp_path / "same length")
    objects.put(UNKNOWN, tmp_path / "other")
    objects.remove([thumbnail])
    found = comparing.compare(objects)
    assert (found.missing, found.unlike, found.orphans) == ([thumbnail], [key_of(shorter)], [UNKNOWN])
    assert set(comparing.compare(objects, checksums=True).unlike) == {key_of(shorter), key_of(changed)}
    assert content not in {*found.missing, *found.unlike}


def test_a_file_that_is_no_object_is_an_orphan(store: Settings) -> None:
    objects = open_store(store)
    uploaded(objects)
    (store.files_path / "notes.txt").write_bytes(b"not ours")
    assert comparing.compare(objects).orphans == ["notes.txt"]


class Meanwhile:
    """A store of objects, and work that others do while it is listed: before the listing, or after it."""

    def __init__(self, objects: ObjectStore, work: object) -> None:
        self._objects, self._work = objects, work

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def sizes(self) -> Iterator[tuple[str, int]]:
        yield from list(self._objects.sizes())
        self._work()  # type: ignore[operator]


def test_what_is_uploaded_and_removed_meanwhile_is_no_fault(objects: ObjectStore) -> None:
    file, keys = uploaded(objects)

    def work() -> None:
        store_blob(objects, b"uploaded after the listing")
        remove(objects, file, keys)

    found = comparing.compare(Meanwhile(objects, work))  # type: ignore[arg-type]
    assert (found.missing, found.unlike, found.orphans) == ([], [], [])


@pytest.mark.parametrize("method", ["length", "read"])
def test_what_is_removed_after_its_row_was_read_is_no_fault(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    file, keys = uploaded(objects)
    real = getattr(objects, method)

    def read(key: str) -> object:
        if rows("SELECT 1 FROM files") != []:
            remove(objects, file, keys)
        return real(key)

    if method == "length":  # of an object that was stored after the listing
        monkeypatch.setattr(objects, "sizes", lambda: iter(()))
    monkeypatch.setattr(objects, method, read)
    found = comparing.compare(objects, checksums=True)
    assert (found.missing, found.unlike, found.orphans) == ([], [], [])
    assert rows("SELECT 1 FROM blobs") == []


def test_rows_that_contradict_each_other_are_found(objects: ObjectStore) -> None:
    file, _ = uploaded(objects)
    unused = store_blob(objects, b"of no file")
    execute("UPDATE messages SET files=2")
    assert comparing.row_faults() == RowFaults([key_of(unused)], [], [1], [])
    execute("UPDATE messages SET files=NULL")
    execute("UPDATE blobs SET state='unused' WHERE id=(SELECT content_id FROM files)")
    assert comparing.row_faults() == RowFaults([key_of(unused)], [file], [1], [])
    execute("UPDATE messages SET files=1")
    execute("DELETE FROM files")
    assert comparing.row_faults().messages == [1]


def test_what_is_unfinished_is_counted_and_late_after_a_while(store: Settings) -> None:
    with event.transaction(appends=False) as tx:
        begun, removed = (blobs.begin(tx, 7).id for _ in range(2))
        blobs.discard(tx, [removed])
    (now_ms,) = rows("SELECT since_ms FROM blobs WHERE id=?", (begun,))[0]
    assert comparing.unfinished(now_ms) == Unfinished(1, 1, 0)
    assert comparing.unfinished(now_ms + HOUR_MS) == Unfinished(1, 1, 1)
    assert comparing.unfinished(now_ms + 2 * HOUR_MS) == Unfinished(1, 1, 2)
