"""The consumer `deletions`: it empties what an account that was deleted has left, a few rows per transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import msgspec
import structlog

from conf import Settings
from jobs.drain.consumer import JobConsumer, Written
from jobs.upkeep import leftovers
from models.accounts import deletion, erasing
from models.accounts.deletion import DeletionProgress, Place
from models.accounts.erasing_steps import Page, Step
from models.accounts.former_names import FormerNames
from models.chat import search
from models.identity.user import view
from models.log.event import Event, Transaction
from models.store.database import engine
from models.transfer import ledger

PHASES = ("archive_files", "mail_files", "search", "names", "past")  # after the tables, in this order

logger = structlog.get_logger("jobs")


class DeletionPayload(msgspec.Struct, gc=False):
    """The event's data: the deletion's id."""

    deletion: int


decode_deletion = msgspec.json.Decoder(DeletionPayload).decode


class DeletionBatch(NamedTuple):
    """One transaction of a deletion, which moves it from one place to the next. `write` returns the rows that it changed."""

    progress: DeletionProgress
    old: Place
    new: Place
    table: str
    write: Callable[[Transaction], int]


class DeletionsConsumer(JobConsumer):
    """Does each step of a deletion once: its place moves in the transaction that changes the rows."""

    name: ClassVar[str] = "deletions"
    types: ClassVar[tuple[str, ...]] = (deletion.REQUESTED,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def job_of(self, event: Event) -> int:
        return decode_deletion(event.data).deletion

    def prepare(self, events: Sequence[Event]) -> Iterable[DeletionBatch]:
        for event in events:
            progress = deletion.find_unfinished(self.job_of(event))
            if progress is not None:
                ledger.append(self._settings.deletions_path, progress)
                yield from _DeletionRun(self._settings, progress).batches()

    def write(self, tx: Transaction, batch: DeletionBatch) -> Written:
        deletion.advance(tx, batch.progress.id, batch.old, batch.new, batch.table, batch.write(tx))
        return Written(1)


class _DeletionRun:
    """One run of a deletion, from the place where it is on. A batch is prepared while the one before it is not written yet."""

    def __init__(self, settings: Settings, progress: DeletionProgress) -> None:
        self._settings = settings
        self._progress = progress
        self._place = progress.place

    def batches(self) -> Iterator[DeletionBatch]:
        """Yield what is left from the stored place on."""
        first, _ = self._place
        if first in ("", *(step.name for step in erasing.STEPS)):
            yield from self._steps(erasing.STEPS)
            yield self._batch("texts", "", "", _nothing)  # when the next one is requested, all before this one are written
        current = deletion.find_unfinished(self._progress.id)  # now with the names of groups, too
        if current is None:
            return
        self._progress = current
        if first not in ("traces", *PHASES):
            yield from self._steps(erasing.trace_steps(current))
            yield self._batch("traces", "", "", _nothing)  # as above
            self._progress = deletion.find_unfinished(self._progress.id) or current  # with the names that were seen
        yield from self._files(PHASES.index(first) if first in PHASES else -1)
        leftovers.erase_past()
        yield self._batch("end", "", "", self._end)

    def _steps(self, steps: Sequence[Step]) -> Iterator[DeletionBatch]:
        """The batches of some steps, from the stored place on if that is among them."""
        name, position = self._progress.place
        names = [step.name for step in steps]
        for step in steps[names.index(name) if name in names else 0 :]:
            if self._progress.erases or not step.of_texts:
                for page in step.find(self._progress, position if step.name == name else ""):
                    yield self._batch(step.name, page.position, step.table, _change(step, self._progress, page))

    def _batch(self, name: str, position: str, table: str, write: Callable[[Transaction], int]) -> DeletionBatch:
        old, self._place = self._place, (name, position)
        return DeletionBatch(self._progress, old, self._place, table, write)

    def _files(self, done: int) -> Iterator[DeletionBatch]:
        """Clean files and, where texts are erased, the pages of the search index. `done` is the last of PHASES that was begun,
        or -1."""
        progress, position = self._progress, self._progress.place[1]
        names = FormerNames(progress.user, progress.names, msgspec.to_builtins(view(progress.user)), erases=progress.erases)
        if done <= 0:
            for name, changed in leftovers.clean_archive(self._settings, names, position if done == 0 else ""):
                yield self._batch("archive_files", name, "archive_files", partial(_counted, changed))
        if done < 1:
            yield self._batch("mail_files", "", "mail_files", partial(_counted, leftovers.remove_mails(self._settings, names)))
        if done <= 2 and progress.erases and engine().name == "sqlite":
            since_ms = int(position) if done == 2 else engine().now_ms()
            while search.erased_ms() < since_ms:
                yield self._batch("search", str(since_ms), "", _merge)
        if done < 3:
            yield self._batch("names", "", "", self._forget_names)
        if done < 4:
            yield self._batch("past", "", "", _nothing)  # as above

    def _forget_names(self, tx: Transaction) -> int:
        deletion.forget_names(tx, self._progress.id)
        return 0

    def _end(self, tx: Transaction) -> int:
        deletion.complete(tx, self._progress.id)
        logger.info("deletion_done", job=self._progress.id, user=self._progress.user)
        return 0


def _nothing(tx: Transaction) -> int:
    return 0


def _change(step: Step, progress: DeletionProgress, page: Page) -> Callable[[Transaction], int]:
    return lambda tx: step.change(tx, progress, page.items) if page.items else 0


def _counted(changed: int, tx: Transaction) -> int:
    return changed


def _merge(tx: Transaction) -> int:
    search.erase_next(tx)
    return 0
