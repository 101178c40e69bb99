"""The thread that removes the objects of files which nobody may have any more, soon after their deletion.

An object is removed first, then its row (promise 7). Crash points: before the removal nothing has happened; between it and the row
the removal is repeated, which changes nothing. While the folder or bucket can't be used, the rows wait; other work goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from conf import Settings
from jobs.drain.pacing import transaction
from jobs.infra.outage import Outage
from models.blobs import blob as blobs
from models.blobs.blob import ObjectPlace, UnusedObject
from models.blobs.objects import ObjectStore
from models.blobs.opening import open_store
from models.files import sweep
from models.store.backoff import Backoff
from models.store.data_dir_lock import objects_may_go
from models.store.database import disconnect, engine

POLL_INTERVAL_S = 0.5
EXPIRE_INTERVAL_S = 60.0  # from one search for files that nobody has sent to the next
FIRST_RETRY_S, MAX_RETRY_S = 1.0, 60.0

logger = structlog.get_logger("jobs")


class Sweeper:
    """Removes objects while `enabled` returns True: one worker of all does it. The store of objects may be given."""

    def __init__(self, settings: Settings, enabled: Callable[[], bool] = lambda: True, objects: ObjectStore | None = None) -> None:
        self._settings = settings
        self._enabled = enabled
        self._objects = objects
        self._outage = Outage("file_sweeper", "deleted files stay in the folder or bucket")
        self._backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S, jitter=(0.75, 1.0))
        self._expire_at = 0.0  # time.monotonic()
        self._checked_file = 0  # the id that the next search for files of deleted messages begins after
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="file-sweeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after what it is removing."""
        self._stopping.set()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_INTERVAL_S):
            if not (self._enabled() and self._backoff.is_due()):
                continue
            try:
                self.sweep()
            except Exception as error:  # of any kind: the thread must live, and the next pass may succeed
                self._outage.record_failure(error)
                self._backoff.record_failure()
                disconnect()
            else:
                self._outage.record_success()
                self._backoff.record_success()
        disconnect()

    def sweep(self) -> int:
        """Remove what nobody may have; returns the number of objects. Raises the errors of the store and of its objects."""
        if time.monotonic() >= self._expire_at:
            self.expire()
            self._expire_at = time.monotonic() + EXPIRE_INTERVAL_S
        place, removed, errors = ObjectPlace(), 0, list[OSError]()
        while not self._stopping.is_set() and (unused := blobs.list_unused(place, engine().now_ms())):
            with objects_may_go(self._settings.data_dir) as may_go:
                if not may_go:  # a backup copies them
                    break
                ids = self._remove(unused, errors)
            if ids:
                with transaction(appends=False) as tx:
                    blobs.forget(tx, ids)
            place, removed = unused[-1].place, removed + len(ids)
        if removed:
            logger.info("files_removed", objects=removed)
        if errors:
            raise errors[0]
        return removed

    def _remove(self, unused: Sequence[UnusedObject], errors: list[OSError]) -> list[int]:
        """Remove objects and return their ids. One that the folder refuses to remove delays no other. Raises StoreDownError."""
        if self._objects is None:
            self._objects = open_store(self._settings)
        try:
            self._objects.remove([each.key for each in unused])
        except OSError as error:
            if len(unused) == 1:
                errors.append(error)
                return []
            return [number for each in unused for number in self._remove([each], errors)]
        return [each.id for each in unused]

    def expire(self) -> None:
        """Remove files that were never sent or whose message is deleted, and discard objects that a kill has left behind.

        The transactions are durable: a power cut must not bring back a file whose object is gone.
        """
        while not self._stopping.is_set() and sweep.has_unclaimed(engine().now_ms()):
            with transaction(appends=True) as tx:
                sweep.remove_unclaimed(tx)
        while not self._stopping.is_set() and blobs.list_left(engine().now_ms()):
            with transaction(appends=True) as tx:
                sweep.discard_left(tx)
        self._checked_file, left = sweep.find_left(self._checked_file)
        if left:
            with transaction(appends=True) as tx:
                sweep.remove_left(tx, left)
