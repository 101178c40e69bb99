"""Who uses a data folder: whatever runs on it holds a shared lock on DATA_DIR/running.lock, a restore the exclusive one.

The kernel drops the locks of a process that dies, so none is ever stale (flock(2)).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_FILE = "running.lock"

_held: list[IO[str]] = []  # keeps the files open


class RestoringError(Exception):
    """A restore has the data folder for itself."""


class RunningError(Exception):
    """Something runs on the data folder."""


def _open(data_dir: Path) -> IO[str]:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (data_dir / LOCK_FILE).open("w")


def acquire_running_lock(data_dir: Path) -> IO[str]:
    """Keeps restores away until this process ends, or the returned file is closed. May be called more than once.

    Raises RestoringError while a restore runs, OSError when the folder can't be written.
    """
    file = _open(data_dir)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RestoringError(f"a restore runs on {data_dir}: try again when it has ended") from None
    _held.append(file)
    return file


@contextmanager
def acquire_exclusive(data_dir: Path) -> Iterator[None]:
    """Has the data folder alone. Raises RunningError when a gateway, a worker or another command uses it."""
    with _open(data_dir) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunningError(f"a gateway, worker or other command uses {data_dir}: stop it first") from None
        yield
