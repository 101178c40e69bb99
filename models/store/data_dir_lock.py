"""The lock on a data folder: every running process has a shared lock on DATA_DIR/running.lock, a restore the exclusive one.

The kernel releases the locks of a process that dies, so no lock is ever stale (flock(2)).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_FILE = "running.lock"

_open_files: list[IO[str]] = []  # a lock ends when its file is closed


class RestoringError(Exception):
    """A restore is using the data folder."""


class RunningError(Exception):
    """Another process is using the data folder."""


def _open(data_dir: Path) -> IO[str]:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (data_dir / LOCK_FILE).open("w")


def acquire_running_lock(data_dir: Path) -> IO[str]:
    """Acquire the shared lock, which prevents restores until this process ends or the returned file is closed.

    May be called more than once. Raises RestoringError while a restore runs, OSError when the folder can't be written.
    """
    file = _open(data_dir)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RestoringError(f"a restore is running on {data_dir}: try again when it has ended") from None
    _open_files.append(file)
    return file


@contextmanager
def acquire_exclusive(data_dir: Path) -> Iterator[None]:
    """Keep every other process off the data folder. Raises RunningError when a gateway, a worker or another command uses it."""
    with _open(data_dir) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunningError(f"a gateway, worker or other command is using {data_dir}: stop it first") from None
        yield
