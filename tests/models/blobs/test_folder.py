"""A folder that is lost, read-only or somebody else's."""

import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.blobs import folder as folders
from models.blobs.folder import Folder
from models.store.errors import StoreDownError

KEY = "ab" * 16


def upload(objects: Folder, key: str = KEY) -> None:
    writer = objects.writer(key)
    writer.write(b"bytes")
    writer.finish()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    root = tmp_path / "new" / "files"
    upload(Folder(root))
    assert [mode(path) for path in (root, root / "ab", root / "ab" / KEY)] == [0o700, 0o700, 0o600]


def test_an_object_that_is_finished_is_on_the_disk_with_its_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: forced.append(os.fstat(descriptor)))
    root = tmp_path / "files"
    upload(Folder(root))
    assert [each.st_size for each in forced if os.path.samestat(each, (root / "ab" / KEY).stat())] == [len(b"bytes")]
    for folder in (tmp_path, root, root / "ab"):
        assert any(os.path.samestat(each, folder.stat()) for each in forced), folder


def test_a_folder_that_was_there_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    objects = Folder(tmp_path / "files")
    upload(objects)
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreDownError, match="is its disk mounted"):
        objects.writer(KEY)
    with pytest.raises(StoreDownError, match="is its disk mounted"):
        objects.remove([KEY])
    assert not (tmp_path / "files").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "files")
    upload(objects, "cd" * 16)


def test_the_empty_mount_point_of_a_lost_disk_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Folder(tmp_path)
    upload(objects)
    real = folders._device
    monkeypatch.setattr(folders, "_device", lambda folder: (real(folder) or 0) + 1)
    with pytest.raises(StoreDownError, match="is its disk mounted"):
        objects.writer("cd" * 16)


def test_an_upload_whose_disk_is_lost_in_the_middle_may_have_left_something(tmp_path: Path) -> None:
    writer = Folder(tmp_path / "files").writer(KEY)
    writer.write(b"bytes")
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    assert not writer.abort()


def test_a_folder_that_is_a_file_can_not_be_written_and_the_log_says_why(tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"a file")
    with capture_logs() as logs, pytest.raises(StoreDownError, match="Not a directory"):
        upload(Folder(tmp_path / "files"))
    assert [(line["event"], line["reason"]) for line in logs] == [("files_not_written", "Not a directory")]
    assert list(tmp_path.iterdir()) == [tmp_path / "files"]
