"""Checks of the bytes of files: the folder or bucket that has them, compared with the tables both ways."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import peewee

from commands.doctor.finding import Finding, fail, ok, warn
from commands.doctor.place import FULL_BYTES, GIB, LOW_BYTES
from conf import Settings
from models import schema
from models.blobs.opening import open_store
from models.files import comparing
from models.files.comparing import Comparison
from models.store.database import connect, disconnect, engine
from models.store.errors import StoreDownError

MIB = 2**20
SHOWN = 20


def files(chosen: Settings, *, checksums: bool = False) -> Iterator[Finding]:
    """Compare files with their objects. Without a store that can be read there is nothing to compare: another check says so."""
    if chosen.database_url is None and not chosen.sqlite_path.exists():
        return
    try:
        connect(chosen)
        if not schema.pending():
            yield from _checked(chosen, checksums=checksums)
    except (peewee.DatabaseError, peewee.InterfaceError):
        return
    except StoreDownError as error:
        yield fail(f"files in {chosen.files_url}", f"{error}: correct BELLWIRE_FILES_URL and its keys, or wait until it answers")
    except OSError as error:
        yield fail(f"files in {chosen.files_path}", f"can't be read ({error}): change its owner, or mount its disk")
    finally:
        disconnect()


def _checked(chosen: Settings, *, checksums: bool) -> Iterator[Finding]:
    where = chosen.files_url if chosen.files_in_bucket else str(chosen.files_path)
    found = comparing.compare(open_store(chosen), checksums=checksums)
    yield from _compared(found, where)
    if not chosen.files_in_bucket and chosen.files_path.exists():
        yield from _folder(chosen.files_path)
    yield from _rows()
    yield _unfinished()


def _compared(found: Comparison, where: str) -> Iterator[Finding]:
    counted = f"{len(found.orphans)} orphans, {len(found.missing)} missing"
    what = f"files: {found.objects} objects, {found.bytes / MIB:.1f} MiB in {where}; {counted}"
    if found.objects and len(found.missing) == found.objects:
        yield fail(what, "is its disk mounted, and BELLWIRE_FILES_URL that of this store?")
    elif found.missing:
        yield fail(what, f"copy them from a backup's files/: {_shown(found.missing)}")
    elif found.orphans:
        yield warn(what, f"no row names them, as after a restore: remove them from there: {_shown(found.orphans)}")
    else:
        yield ok(what)
    if found.unlike:
        yield fail(f"files: {len(found.unlike)} damaged", f"copy them from a backup's files/: {_shown(found.unlike)}")


def _folder(folder: Path) -> Iterator[Finding]:
    """Check the rights of the folder of files, and the space on its disk."""
    free = shutil.disk_usage(folder).free
    what = f"folder of files: {free / GIB:.1f} GiB free"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail(f"folder of files {folder}", "can't be written: change its owner")
    elif folder.stat().st_mode & 0o077:
        yield warn(what, f"other users of this host may enter it: `chmod 700 {folder}`")
    elif free < LOW_BYTES:
        yield (fail if free < FULL_BYTES else warn)(what, "free some space, or move the files to a bucket")
    else:
        yield ok(what)


def _rows() -> Iterator[Finding]:
    faults: dict[str, list[Any]] = comparing.row_faults()._asdict()
    for name, found in faults.items():
        if found:
            yield fail(f"rows of files: {len(found)} {name} contradict others", f"report this: {_shown(found)}")
    if not any(faults.values()):
        yield ok("rows of files: consistent")


def _unfinished() -> Finding:
    left = comparing.unfinished(engine().now_ms())
    what = f"files: {left.writing} being uploaded, {left.unused} to be removed"
    return warn(what, f"{left.late} of them are late: is a worker running?") if left.late else ok(what)


def _shown(keys: Sequence[object]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(map(str, keys[:SHOWN])) + more
