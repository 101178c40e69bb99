"""Move the bytes of files to a bucket, to another folder, or back. Ids, names and links stay valid.

Run it first while Bellwire is running, if there is much to copy, and then once more when everything is stopped: it copies the
rest, compares, and says which setting to change. An interrupted move continues when the same command is run again. The files stay
where they were, too, until you remove them. The exit status is 1 until all is done.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import opening
from commands.advice import command_line
from commands.backup import MIB, show
from commands.errors import CommandError
from conf import Settings, SettingsError, parsing
from conf.masking import masked
from models.chat import presence
from models.ops import worker
from models.store.data_dir_lock import RunningError, acquire_exclusive, acquire_running_lock
from models.store.errors import FullError, StoreDownError
from models.transfer import moving
from models.transfer.moving import Moved, MoveError

CONTINUE = "run the same command again to continue"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the target."""
    parser.add_argument("--to", metavar="URL", required=True, help=parsing.FILES_URL)


def run(args: Namespace) -> int:
    """Move, and print the next step."""
    settings = opening.settings()
    url = _checked(args.to, settings)
    if _place(settings, url) == _place(settings, settings.files_url):
        print(f"the files are in {url} already: nothing to do")
        return 0
    with _opened(settings) as is_alone:
        try:
            moved = moving.move(settings, url, show if sys.stderr.isatty() else None, is_last=is_alone)
        except (MoveError, SettingsError) as error:
            raise CommandError(f"--to {url}: {error}") from error
        except (StoreDownError, FullError, OSError) as error:
            raise CommandError(f"stopped: {error}: correct that and {CONTINUE}") from error
        except KeyboardInterrupt:
            print(f"\ninterrupted: {CONTINUE}", file=sys.stderr)
            raise
    print(_next(settings, url, moved, is_alone=is_alone))
    return 0 if is_alone and not moved.missing else 1


def _checked(url: str, settings: Settings) -> str:
    """Return the target's URL, or raise CommandError."""
    try:
        chosen = parsing.files_url(url, settings.data_dir)
    except ValueError as error:
        raise CommandError(f"--to {masked('to', url)!r}: must be {error}") from None
    here, there = _place(settings, settings.files_url), _place(settings, chosen)
    if isinstance(here, Path) and isinstance(there, Path) and here != there and (here in there.parents or there in here.parents):
        raise CommandError(f"--to {url!r}: must be a folder that is neither in {here} nor around it")
    return chosen


def _place(settings: Settings, url: str) -> object:
    """The bucket or folder that a URL names."""
    return parsing.bucket(url) if url.startswith("s3://") else (settings.data_dir / url).resolve()


@contextmanager
def _opened(settings: Settings) -> Iterator[bool]:
    """Open the store. Yield whether nothing else uses it, and keep it so on this data folder."""
    opening.require_file(settings)
    with opening.data_folder(settings):
        try:
            with acquire_exclusive(settings.data_dir), opening.connected(settings):
                opening.require_current_schema()
                yield settings.database_url is None or not _others_run()
            return
        except RunningError:
            acquire_running_lock(settings.data_dir)
        with opening.connected(settings):
            opening.require_current_schema()
            yield False


def _others_run() -> bool:
    """Whether a gateway or worker of another host uses the database. One that was killed counts for up to a minute."""
    return presence.count_gateways() > 0 or any(each["alive"] for each in worker.all_workers())


def _next(settings: Settings, url: str, moved: Moved, *, is_alone: bool) -> str:
    lines = [f"copied {moved.now.count} objects, {moved.now.bytes / MIB:.1f} MiB"]
    if moved.removed:
        lines.append(f"removed {moved.removed} whose files were removed since they were copied")
    if moved.missing:
        lines.append(f"{moved.missing} objects are missing or damaged where they were ({', '.join(moved.now.lost_keys)})")
    if not is_alone:
        return "\n".join([*lines, f"a gateway or worker is running: stop them all, and {CONTINUE}"])
    start, doctor = command_line("serve"), command_line("doctor")
    return "\n".join(
        [
            *lines,
            f"moved: {moved.objects} objects, {moved.bytes / MIB:.1f} MiB. On every host, set\n  BELLWIRE_FILES_URL={url}",
            f"and start it with {start}, or gateways and workers. {doctor} then compares files and objects.",
            f"After that, remove what is in {_old_place(settings)}.",
        ]
    )


def _old_place(settings: Settings) -> str:
    return settings.files_url if settings.files_in_bucket else str(settings.files_path)
