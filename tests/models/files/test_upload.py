"""The two transactions around the bytes of a file, and the sums of what was uploaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from conf import Settings
from models.blobs import blob as blobs
from models.blobs.folder import Folder
from models.files import incoming, upload, usage
from models.files.incoming import IncomingFile
from models.files.upload import MIB, BegunUpload, DayFullError, ReceivedFile, UploadLimits
from models.log import event
from models.store.database import execute, rows
from models.store.errors import FullError, NotFoundError
from tests.models.people import people

LIMITS = UploadLimits(file=2 * MIB, day=3 * MIB)
PNG = ReceivedFile("a.png", "image/png", 1000, "0" * 64, private=True)


def begin(user: int, length: int | None) -> BegunUpload:
    with event.transaction() as tx:
        return upload.begin(tx, user, length, LIMITS)


def used(user: int) -> int:
    return sum(row[0] for row in rows("SELECT bytes FROM file_usage WHERE user_id=?", (user,)))


def test_what_is_reserved_and_not_used_is_given_back(store: Settings) -> None:
    (ana,) = people("ana")
    begun = begin(ana, None)
    assert (begun.reserved, used(ana)) == (2 * MIB, 2 * MIB)
    assert begin(ana, None).reserved == MIB

    with event.transaction() as tx:
        view = upload.complete(tx, begun, PNG)

    assert used(ana) == MIB + 1000
    assert (view.state, view.bytes, view.thumbnail) == ("pending", 1000, False)
    assert rows("SELECT private, next_ms FROM files") == [(True, None)]
    assert rows("SELECT state, owner, bytes FROM blobs WHERE id=?", (begun.object.id,)) == [("stored", None, 1000)]


def test_a_day_has_an_end_and_says_what_is_left(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    begin(ana, 2 * MIB)

    with pytest.raises(DayFullError, match=f"{MIB} bytes are left") as refused:
        begin(ana, MIB + 1)
    assert refused.value.left == MIB
    assert 0 < refused.value.retry_after_ms <= usage.DAY_MS
    begin(ana, MIB)
    for length in (1, None):
        with pytest.raises(DayFullError):
            begin(ana, length)
    begin(ben, 2 * MIB)
    execute("UPDATE file_usage SET day=day-1")
    begin(ana, 2 * MIB)


def test_an_upload_that_broke_off_leaves_nothing(store: Settings) -> None:
    (ana,) = people("ana")
    broken, doubtful, complete = begin(ana, 1000), begin(ana, 200), begin(ana, 30)
    with event.transaction() as tx:
        upload.complete(tx, complete, PNG._replace(bytes=30))

    for begun in (broken, complete):
        with event.transaction() as tx:
            upload.forget(tx, begun)
            upload.forget(tx, begun)
    for begun in (doubtful, complete):
        with event.transaction() as tx:
            upload.leave(tx, begun)
            upload.leave(tx, begun)

    assert rows("SELECT id, state FROM blobs ORDER BY id") == [(doubtful.object.id, "unused"), (complete.object.id, "stored")]
    assert used(ana) == 30


def test_the_sweeper_gives_back_what_a_kill_has_left(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    ids = [begin(ana, 100).object.id, begin(ana, 20).object.id, begin(ben, 3).object.id]
    with event.transaction() as tx:
        ids.append(blobs.begin(tx, 7).id)  # a thumbnail's

    usage.refund_all(ids[:1] + ids[2:])

    assert (used(ana), used(ben)) == (20, 0)


def test_an_upload_that_the_sweeper_has_removed_is_not_completed(store: Settings) -> None:
    (ana,) = people("ana")
    begun = begin(ana, 1000)
    execute("DELETE FROM blobs")

    with event.transaction() as tx, pytest.raises(NotFoundError):
        upload.complete(tx, begun, PNG)


def test_an_account_has_a_bounded_number_of_files_that_it_has_not_sent(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    monkeypatch.setattr(upload, "MAX_UNCLAIMED", 2)
    for _ in range(2):
        begun = begin(ana, 1000)
        with event.transaction() as tx:
            upload.complete(tx, begun, PNG)

    with pytest.raises(DayFullError, match="at most 2 files that are not sent"):
        begin(ana, 1)
    execute("UPDATE files SET message=5 WHERE content_id=?", (begun.object.id,))
    begin(ana, 1)


@pytest.mark.only("sqlite")
def test_the_files_that_an_account_has_not_sent_are_found_by_an_index(store: Settings) -> None:
    sql = "SELECT created_ms FROM files WHERE owner_id=? AND message IS NULL AND post IS NULL LIMIT 5"
    (plan,) = rows(f"EXPLAIN QUERY PLAN {sql}", (1,))
    assert "file_unclaimed_of_owner" in plan[-1]


def test_a_file_is_written_hashed_and_examined(tmp_path: Path) -> None:
    file = IncomingFile(Folder(tmp_path / "files"), "ab" * 16, tmp_path)
    blocks = [b"\xff\xd8\xff\xe1" + b"." * 200_000 + b"Exi", b"f\0\0" + b"." * 10]
    for block in blocks:
        file.write(block)
    file.finish()

    whole = b"".join(blocks)
    assert (file.bytes, file.type, file.private) == (len(whole), "image/jpeg", True)
    assert file.sha256 == hashlib.sha256(whole).hexdigest()
    assert (tmp_path / "files/ab" / ("ab" * 16)).read_bytes() == whole
    assert file.abort()
    assert list((tmp_path / "files").rglob("*")) == [tmp_path / "files/ab"]


def test_the_last_of_a_disk_is_left_for_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "files"
    file = IncomingFile(Folder(folder), "ab" * 16, tmp_path)
    file.write(b"x" * 100)
    monkeypatch.setattr(incoming, "MIN_FREE_BYTES", 1 << 60)
    file.write(b"x" * (1 << 20))

    with pytest.raises(FullError, match="no space left"):
        file.write(b"x")
    assert file.abort()
    with pytest.raises(FullError):
        IncomingFile(Folder(folder), "cd" * 16, tmp_path).write(b"x")
    assert not [path for path in folder.rglob("*") if path.is_file()]
