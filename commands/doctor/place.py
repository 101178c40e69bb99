"""Checks of the environment: settings, data folder, disk, clock. None of them needs the store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from commands.advice import command_line
from commands.doctor.finding import Finding, fail, ok, warn
from conf import Settings, SettingsError

GIB = 2**30
LOW_BYTES = GIB
FULL_BYTES = 64 * 2**20  # with less, the WAL may not fit between two checkpoints
FIRST_YEAR, LAST_YEAR = 2025, 2100


def settings(chosen: Settings) -> Iterator[Finding]:
    """Check the generated secret, and warn of unwise settings. Their values were checked when they were loaded."""
    try:
        if (chosen.data_dir / "secret").exists():
            chosen.secret()
    except SettingsError as error:
        yield fail("settings", str(error))
        return
    yield ok("settings: all values are allowed")
    if not chosen.rate_limits:
        yield warn("settings", "rate limits are off: set BELLWIRE_RATE_LIMITS=on unless this is a load test")


def data_folder(chosen: Settings) -> Iterator[Finding]:
    """Check that the data folder can be written to, or created."""
    folder = chosen.data_dir
    what = f"data folder {str(folder)!r}"
    there = _nearest(folder)
    if there != folder.absolute() and there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield warn(what, f"it does not exist yet: {command_line('serve')} or {command_line('migrate')} creates it")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written by doctor")
    except OSError as error:
        yield fail(what, f"can't be written ({error.strerror}): change its owner, or set BELLWIRE_DATA_DIR")
        return
    yield ok(f"{what}: can be written")


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    existing = folder.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    return existing


def disk(chosen: Settings) -> Iterator[Finding]:
    """Check the free space on the disk of the data folder."""
    folder = _nearest(chosen.data_dir)
    free = shutil.disk_usage(folder).free
    what = f"disk: {free / GIB:.1f} GiB free at {folder}"
    advice = "free some space, lower BELLWIRE_EVENTS_KEEP_DAYS or BELLWIRE_ACTIVITY_KEEP_DAYS, or move BELLWIRE_DATA_DIR"
    if free < FULL_BYTES:
        yield fail(what, advice)
    elif free < LOW_BYTES:
        yield warn(what, advice)
    else:
        yield ok(what)


def clock(_chosen: Settings) -> Iterator[Finding]:
    """Check that the clock's year is plausible."""
    now = datetime.now(UTC)
    if FIRST_YEAR <= now.year <= LAST_YEAR:
        yield ok(f"clock: {now:%Y-%m-%dT%H:%M:%SZ}")
    else:
        yield fail(f"clock: {now:%Y-%m-%dT%H:%M:%SZ}", "the year is wrong: set the clock, and use NTP")
