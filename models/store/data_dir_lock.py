"""The locks on a data folder: every running process has a shared lock on DATA_DIR/running.lock, a restore the exclusive one. A
backup has a shared lock on DATA_DIR/removing.lock, which keeps objects from being removed.

The kernel releases the locks of a process that dies, so no lock is ever stale (flock(2)).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_FILE = "running.lock"
REMOVING_FILE = "removing.lock"

_open_files: list[IO[str]] = []  # a lock ends when its file is closed


class RestoringError(Exception):
    """A restore is using the data folder."""


class RunningError(Exception):
    """Another process is using the data folder."""


class NoLocksError(Exception):
    """The file system of the data folder has no locks."""


def _lock(file: IO[str], kind: int) -> None:
    """Acquire a lock without waiting. Raises BlockingIOError when another process has it, NoLocksError where there are none."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise NoLocksError(
            f"the file system of {file.name} has no file locks ({error.strerror}): move BELLWIRE_DATA_DIR to a local disk"
        ) from error


def _open(data_dir: Path, name: str = LOCK_FILE) -> IO[str]:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (data_dir / name).open("w")


def acquire_running_lock(data_dir: Path) -> IO[str]:
    """Acquire the shared lock, which prevents restores until this process ends or the returned file is closed.

    May be called more than once. Raises RestoringError while a restore runs, OSError when the folder can't be written, NoLocksError
    when its file system has no locks.
    """
    file = _open(data_dir)
    try:
        _lock(file, fcntl.LOCK_SH)
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
            _lock(file, fcntl.LOCK_EX)
        except BlockingIOError:
            raise RunningError(f"a gateway, worker or other command is using {data_dir}: stop it first") from None
        yield


@contextmanager
def objects_stay(data_dir: Path) -> Iterator[None]:
    """Keep objects from being removed, while those of one state of the store are copied. Waits for a removal that has begun."""
    with _open(data_dir, REMOVING_FILE) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def objects_may_go(data_dir: Path) -> Iterator[bool]:
    """Yield whether objects may be removed now: not during a backup. It may not begin meanwhile, so this must be short."""
    with _open(data_dir, REMOVING_FILE) as file:
        try:
            _lock(file, fcntl.LOCK_EX)
        except BlockingIOError:
            yield False
        else:
            yield True
