"""The store of objects keeps its promises, be it a folder or a bucket."""

import errno
import secrets
from pathlib import Path

import pytest

from conf import Settings
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.store.errors import FullError
from tests.stores import full_disk

BIG = 11 * 2**20 + 7  # three parts of an upload to a bucket, eleven requests of a download


@pytest.fixture
def objects(tmp_path: Path, files_url: str) -> ObjectStore:
    """A store without objects."""
    return open_store(Settings(data_dir=tmp_path, files_url=files_url))


def key() -> str:
    return secrets.token_hex(16)


def written(objects: ObjectStore, content: bytes) -> str:
    name = key()
    writer = objects.writer(name)
    for at in range(0, len(content), 2**20):
        writer.write(content[at : at + 2**20])
    writer.finish()
    return name


def content_of(objects: ObjectStore, name: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join(objects.read(name, start, length))


@pytest.mark.parametrize("length", [0, 1, BIG])
def test_an_object_has_the_bytes_that_were_written(objects: ObjectStore, length: int) -> None:
    content = secrets.token_bytes(length)
    name = written(objects, content)
    assert content_of(objects, name) == content
    assert list(objects.sizes()) == [(name, length)]
    assert objects.length(name) == length


def test_any_part_of_an_object_can_be_read(objects: ObjectStore) -> None:
    content = secrets.token_bytes(BIG)
    name = written(objects, content)
    for start, length in ((0, 1), (5, 2**20), (2**20 - 1, 2), (BIG - 3, 3), (7, BIG - 7), (9, 0)):
        assert content_of(objects, name, start, length) == content[start : start + length]
    assert content_of(objects, name, BIG - 2) == content[-2:]


def test_a_file_is_copied_into_the_store(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"bytes of a file")
    name = key()
    objects.put(name, tmp_path / "source")
    assert content_of(objects, name) == b"bytes of a file"


def test_what_is_aborted_leaves_nothing(objects: ObjectStore, tmp_path: Path) -> None:
    writer = objects.writer(key())
    writer.write(b"half of it")
    assert writer.abort()
    assert list(objects.sizes()) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_objects_are_removed_and_missing_ones_do_not_matter(objects: ObjectStore) -> None:
    names = [written(objects, b"x") for _ in range(3)]
    objects.remove([names[0], key(), names[2]])
    objects.remove([names[0]])
    objects.remove([])
    assert list(objects.sizes()) == [(names[1], 1)]


def test_a_missing_object_is_not_found(objects: ObjectStore) -> None:
    written(objects, b"another")
    assert objects.length(key()) is None
    with pytest.raises(FileNotFoundError):
        content_of(objects, key())
    with pytest.raises(FileNotFoundError):
        content_of(objects, key(), 0, 1)


def test_a_full_disk_is_named_and_leaves_nothing(objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.blobs.folder.FULL", (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    writer = objects.writer(key())
    with full_disk(100_000), pytest.raises(FullError):
        writer.write(b"x" * 500_000)
    assert writer.abort()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(objects.sizes()) == []
