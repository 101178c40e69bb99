"""The lock of a data folder on a file system that has no locks, such as some network shares."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from commands import opening
from commands.doctor import stored
from commands.errors import CommandError
from models.store.data_dir_lock import NoLocksError, acquire_exclusive, acquire_running_lock
from tests.stores import settings_of


@pytest.fixture(autouse=True)
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system on a test machine lacks locks: the call fails as it does there."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_file_system_without_locks_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoLocksError, match=str(tmp_path)):
        acquire_running_lock(tmp_path)
    with pytest.raises(NoLocksError, match=str(tmp_path)), acquire_exclusive(tmp_path):
        pass


def test_commands_and_doctor_say_so(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {})
    with (
        pytest.raises(CommandError, match=f"the file system of {tmp_path}.* has no file locks"),
        opening.store(settings, create=True),
    ):
        pass
    settings.sqlite_path.touch()
    (finding,) = stored.store(settings)
    assert "FAIL" in str(finding)
    assert str(tmp_path) in str(finding)
