"""The first steps of nearly every command: reading the settings and opening the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import peewee

from commands.advice import command_line
from commands.errors import CommandError, NoStoreError, UnreachableError
from conf import Settings, SettingsError, load
from conf.terminal import print_line
from models import schema
from models.store import facts
from models.store.data_dir_lock import NoLocksError, RestoringError, RunningError, acquire_running_lock
from models.store.database import connect, disconnect
from models.transfer import ledger


def settings() -> Settings:
    """Return the settings. Raises CommandError with one line for each invalid setting."""
    try:
        return load()
    except SettingsError as error:
        raise CommandError(f"bad settings\n{error}") from None


@contextmanager
def data_folder(chosen: Settings) -> Iterator[None]:
    """Turn errors about the data folder, and about other processes that use it, into CommandError."""
    try:
        yield
    except RestoringError as error:
        raise UnreachableError(str(error)) from error
    except (RunningError, NoLocksError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(chosen.data_dir)):
            raise
        raise CommandError(
            f"BELLWIRE_DATA_DIR={str(chosen.data_dir)!r} can't be used ({error.strerror}): "
            "name a folder that this user may write to"
        ) from error


@contextmanager
def store(chosen: Settings, *, create: bool = False) -> Iterator[None]:
    """Connect the models for this thread. No restore can begin until the process ends.

    Raises CommandError when the data folder or the store can't be used or, unless the command may `create` it, does not exist.
    """
    if not create:
        require_file(chosen)
    with data_folder(chosen):
        acquire_running_lock(chosen.data_dir)
        with connected(chosen, create=create):
            yield


@contextmanager
def connected(chosen: Settings, *, create: bool = False) -> Iterator[None]:
    """Do the same under a lock on the data folder that the caller has."""
    connect(chosen)
    try:
        _require_usable(chosen, create=create)
        yield
    except (peewee.OperationalError, peewee.InterfaceError) as error:
        raise UnreachableError(f"the store can't be used ({error}): {command_line('doctor')} says more") from error
    except peewee.PeeweeException as error:
        raise CommandError(f"the store can't be used ({error}): {command_line('doctor')} says more") from error
    finally:
        disconnect()


def require_file(chosen: Settings) -> None:
    """Raise NoStoreError when the database is a SQLite file that does not exist. Creates nothing."""
    if chosen.database_url is None and not chosen.sqlite_path.exists():
        raise NoStoreError(_no_store(chosen))


def _no_store(chosen: Settings) -> str:
    where = (
        f"in BELLWIRE_DATA_DIR={str(chosen.data_dir)!r}" if chosen.database_url is None else "in BELLWIRE_DATABASE_URL's database"
    )
    return (
        f"there is no database {where} ({schema.migrations()[0]} and later are pending): correct the setting, or create one with "
        f"{command_line('migrate')} or {command_line('serve')}"
    )


def _require_usable(chosen: Settings, *, create: bool) -> None:
    if schema.is_empty():
        if not create:
            raise NoStoreError(_no_store(chosen))
        return
    try:
        schema.require_usable()
    except schema.NewerStoreError as error:
        raise UnreachableError(str(error)) from error


def require_current_schema() -> None:
    """Raise CommandError when migrations are pending, or the store is a copy that was not finished."""
    if names := schema.pending():
        raise CommandError(f"the schema is not up to date ({', '.join(names)} pending): run {command_line('migrate')} first")
    require_whole()


def require_whole() -> None:
    """Raise CommandError when the store is a copy that was not finished."""
    if facts.is_half_copied():
        raise CommandError(f"the database is a copy that is not finished: run the same {command_line('copy')} again first")


def repeat_deletions(chosen: Settings) -> None:
    """Request again the deletions that the ledger has and the store has not, because it was restored, and complete the ledger with
    those that other hosts have written to theirs. The schema must be up to date."""
    count = ledger.apply_again(chosen.deletions_path)
    if count:
        accounts = "1 account that was" if count == 1 else f"{count} accounts that were"
        print_line(f"{accounts} deleted after the backup: deleted again")
    try:
        ledger.complete(chosen.deletions_path)
    except OSError as error:
        print_line(f"the ledger of deletions can't be written, see BELLWIRE_DELETIONS_LEDGER: {error}")
