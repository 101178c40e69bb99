"""The part of a deletion that is in files: archived records, mails in the folder, the search index's pages and the WAL."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from conf import Settings
from jobs.upkeep.archive import exclusive
from models.accounts.former_names import FormerNames
from models.records import archive
from models.records.archive import RECORD_TYPES, ArchiveError
from models.store.database import engine

WAIT_FOR_ARCHIVER_S = 60.0
ERASE_TRIES = 50
PAUSE_S = 0.1

logger = structlog.get_logger("jobs")


def clean_archive(settings: Settings, names: FormerNames, after: str) -> Iterator[tuple[str, int]]:
    """Rewrite each archive file after a name that has records of the user or a former name; yields its name and the number of
    changed lines."""
    folder = archive.folder(settings.data_dir)
    folder_id = archive.read_folder_id(folder)
    if folder_id is None:
        return
    for kind in RECORD_TYPES:
        for name in archive.file_sizes(folder_id, kind.name):
            if name > after:  # files of activity come before those of audits, by both name and kind
                yield name, _rewrite(folder, folder_id, kind.name, name, names)


def _rewrite(folder: Path, folder_id: str, kind: str, name: str, names: FormerNames) -> int:
    """Rewrite one file, when no archiver appends to it. Raises ArchiveError when one does for long."""
    deadline = time.monotonic() + WAIT_FOR_ARCHIVER_S
    while time.monotonic() < deadline:
        with exclusive(folder) as acquired:
            if acquired:
                size = archive.file_sizes(folder_id, kind).get(name, 0)
                if not (folder / name).exists():  # the operator has moved it away
                    return 0
                changed = archive.rewrite(folder / name, size, names.in_record)
                archive.write_checksums(folder)
                return changed
        time.sleep(PAUSE_S)
    raise ArchiveError(f"{folder / name} is in use: try again later")


def remove_mails(settings: Settings, names: FormerNames) -> int:
    """Remove the files of the mail folder that are to the user, or with `erase` name them; returns their number."""
    removed = 0
    for path in sorted((settings.data_dir / "mail").glob("*.eml")):
        to, text = _read_mail(path)
        if names.is_mail(to, text):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _read_mail(path: Path) -> tuple[str, str]:
    """The address and the decoded head and texts of a mail, empty for one that is gone."""
    try:
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    except FileNotFoundError:
        return "", ""
    parts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return str(mail["To"]), "\n".join([*(str(value) for value in mail.values()), *map(str, parts)])


def erase_past() -> None:
    """Remove earlier states from the store's files. Readers in turns may prevent it; they are written over later."""
    for _ in range(ERASE_TRIES):
        if engine().erase_past():
            return
        time.sleep(PAUSE_S)
    logger.warning("wal_not_erased")
