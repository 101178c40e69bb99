"""Make pictures ready: two threads of each worker, each with a process at a time that decodes one picture.

The first attempt at a picture has little time, and both threads make it. A picture that needs more is tried again by the first
thread alone, so pictures that were made to take long delay only each other. No owner has both threads, and each owner has a picture
done before another one has a second.

Crash points. Before the objects are written: nothing has happened, and the picture is due again when its lease ends. Between the
first of them and the transaction that records all: their rows say `writing`, so the sweeper removes them, and the picture is due
again. After it: everything is done, with the event.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import peewee
import structlog

from conf import Settings
from jobs.infra.outage import Outage
from jobs.pictures.process import PictureAnswer, PictureRequest
from jobs.pictures.runner import OUT_OF_CPU_TIME, PictureProcess, ProcessEndedError, StoppedError
from metrics.declared import FILE_PICTURES_TOTAL, FILE_THUMBNAIL_SECONDS
from models.blobs import blob as blobs
from models.blobs.blob import ObjectName
from models.blobs.objects import READ_BYTES, ObjectStore
from models.blobs.opening import open_store
from models.chat import message as messages
from models.community import post as posts
from models.files import names, pictures, sweep
from models.files.pictures import MAX_ATTEMPTS, DuePicture, Subject
from models.log import event
from models.log.event import Transaction
from models.store.backoff import Backoff
from models.store.database import disconnect, engine
from models.store.errors import FullError, StoreDownError

POLL_INTERVAL_S = 0.2  # between two checks without a wake-up
RETRY_S = 1.0
CORRECT_S = 60.0  # from one search for pictures that a clock which was ahead has planned to the next
IDLE_S = 60.0  # for which a process waits for a picture
STOP_S = 2.0  # for which a picture may go on at the end
RENEW_S = 5.0  # from one renewal of the leases to the next
FIRST_CPU_S, FIRST_MAX_S = 3, 20.0  # of the first attempt: computing, and altogether; 12 megapixels need 0.3 s
CPU_S, MAX_S = 12, 60.0  # of further ones
MIN_OUTPUT_BYTES = 16 << 20  # that a picture may become; a larger one twice its length
STORE_DOWN_MS = 10_000  # until another attempt after one that failed because of the store of objects
PICTURE_BACKOFF = Backoff(1.0, 30.0)  # of one picture, by its attempts
PICTURE_OUTCOMES = ("ok", "failed", "retried")

logger = structlog.get_logger("jobs")


class Stored(NamedTuple):
    """An object that was written and is not recorded yet."""

    blob: ObjectName
    length: int
    sha256: str


class PictureOutcome(NamedTuple):
    """The end of an attempt: ok, failed or retried; a thumbnail and perhaps a clean copy, or why not."""

    picture: DuePicture
    result: str
    answer: PictureAnswer = PictureAnswer()
    stored: tuple[Stored, ...] = ()
    error: str = ""


class PictureLane:
    """One of the threads. `max_attempts`: it has pictures with fewer attempts than these."""

    def __init__(self, name: str, max_attempts: int) -> None:
        self.name = name
        self.max_attempts = max_attempts
        self.woken = threading.Event()
        self._spare: PictureProcess | None = None

    def process(self) -> PictureProcess:
        """Return a process that was started before, or a new one. It is for one picture."""
        process, self._spare = self._spare, None
        if process is not None and not process.is_alive():  # the kernel has ended it for its memory
            process.close()
            process = None
        return process or PictureProcess()

    def prepare(self) -> None:
        """Start the process of the next picture."""
        self._spare = self._spare or PictureProcess()

    def close_idle(self, max_s: float = IDLE_S) -> None:
        """End a process that no picture has come for."""
        if self._spare is not None and time.monotonic() - self._spare.started_at > max_s:
            self._spare.close()
            self._spare = None


class PictureProcessor:
    """Makes pictures ready. `start`, `wake`, `renew`, `stop` and `join` are called by the worker, on other threads."""

    def __init__(self, settings: Settings, objects: ObjectStore | None = None) -> None:
        self._settings = settings
        self._own_objects = objects
        self._outage = Outage("pictures", "they are made ready later")
        self._stopping = threading.Event()
        self._stopped_at = 0.0  # time.monotonic()
        self._lanes = (PictureLane("pictures-1", MAX_ATTEMPTS + 1), PictureLane("pictures-2", 1))
        self._threads = [threading.Thread(target=self._work, args=(lane,), name=lane.name, daemon=True) for lane in self._lanes]
        self._lock = threading.Lock()  # of the following
        self._running: dict[str, DuePicture] = {}  # by holder
        self._after_owner = 0
        self._renewed_at = self._correct_at = 0.0  # time.monotonic()

    @functools.cached_property
    def _objects(self) -> ObjectStore:
        """The store of objects, opened for the first picture."""
        return self._own_objects or open_store(self._settings)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads end; a picture that takes longer than STOP_S is left to another worker."""
        self._stopped_at = time.monotonic()
        self._stopping.set()
        self.wake()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the threads have ended, for each at most `timeout_s`."""
        for thread in self._threads:
            thread.join(timeout_s)

    def is_alive(self) -> bool:
        """Return whether one of the threads runs."""
        return any(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Have the threads check for pictures at once."""
        for lane in self._lanes:
            lane.woken.set()

    def renew(self) -> None:
        """Renew the leases of the pictures that are being decoded, where due. Raises the store's errors."""
        leased = list(self._running.values())
        if not leased or time.monotonic() - self._renewed_at < RENEW_S:
            return
        with event.transaction(appends=False, durable=False) as tx:
            pictures.renew_leases(tx, leased)
        self._renewed_at = time.monotonic()

    def _work(self, lane: PictureLane) -> None:
        while not self._stopping.is_set():
            lane.woken.wait(POLL_INTERVAL_S)
            lane.woken.clear()
            try:
                self._correct_times()
                while not self._stopping.is_set() and self.process_next(lane):
                    pass
                lane.close_idle()
                self._outage.record_success()
            except Exception as error:  # of any kind: the thread must live, and the next pass may succeed
                self._outage.record_failure(error)
                disconnect()
                self._stopping.wait(RETRY_S)
        lane.close_idle(0.0)
        disconnect()

    def _correct_times(self) -> None:
        """Make pictures due that were planned while the store's clock was ahead, once in CORRECT_S."""
        if time.monotonic() < self._correct_at:
            return
        self._correct_at = time.monotonic() + CORRECT_S
        if pictures.has_future(engine().now_ms()):
            with event.transaction(appends=False, durable=False) as tx:
                pictures.make_future_due(tx)

    def process_next(self, lane: PictureLane) -> bool:
        """Make one attempt at the next picture; return whether there was one. Raises the store's errors."""
        picture = self._acquire(lane)
        if picture is None:
            return False
        try:
            outcome = self._attempt(lane, picture)
            self._record(outcome)
        finally:
            del self._running[picture.holder]
        if not self._stopping.is_set():
            lane.prepare()
        return True

    def _acquire(self, lane: PictureLane) -> DuePicture | None:
        now_ms = engine().now_ms()
        if not pictures.is_any_due(now_ms):
            return None
        with self._lock:  # of the threads of this worker, so that they choose different owners
            busy = {picture.owner for picture in self._running.values()}
            due = pictures.next_due(now_ms, self._after_owner, busy, lane.max_attempts)
            if due is None:
                return None
            self._after_owner = due.owner
            with event.transaction(appends=False, durable=False) as tx:
                picture = pictures.acquire(tx, due)
            if picture is not None:
                self._running[picture.holder] = picture
            return picture

    def _attempt(self, lane: PictureLane, picture: DuePicture) -> PictureOutcome:
        began = time.perf_counter()
        try:
            outcome = self._decode(lane, picture)
        except StoppedError:
            return PictureOutcome(picture, "stopped")
        except ProcessEndedError as error:
            is_last = picture.attempts >= MAX_ATTEMPTS or (picture.attempts > 1 and str(error) == OUT_OF_CPU_TIME)
            outcome = PictureOutcome(picture, "failed" if is_last else "retried", error=str(error))
        except FileNotFoundError:  # it was deleted, or is missing in the store, as `doctor` says
            outcome = PictureOutcome(picture, "failed" if picture.attempts >= MAX_ATTEMPTS else "retried", error="no object")
        except (OSError, FullError, StoreDownError, peewee.PeeweeException) as error:  # full, or down
            self._outage.record_failure(error)
            return PictureOutcome(picture, "postponed", error=type(error).__name__)
        self._log(outcome, time.perf_counter() - began)
        return outcome

    def _log(self, outcome: PictureOutcome, seconds: float) -> None:
        FILE_PICTURES_TOTAL.labels(outcome.result).inc()
        picture = outcome.picture
        fields = {"file": picture.id, "user": picture.owner, "type": picture.type, "tries": picture.attempts}
        why = {"error": outcome.error} if outcome.error else {}
        logger.info(f"picture_{outcome.result}", **fields, seconds=round(seconds, 3), **why)

    def _decode(self, lane: PictureLane, picture: DuePicture) -> PictureOutcome:
        """Have a picture decoded, and store its thumbnail and its clean copy."""
        if picture.attempts > MAX_ATTEMPTS:  # the workers that had it were killed
            return PictureOutcome(picture, "failed", error="too many attempts")
        cpu_s, max_s = (FIRST_CPU_S, FIRST_MAX_S) if picture.attempts == 1 else (CPU_S, MAX_S)
        request = PictureRequest(picture.type, picture.private, cpu_s, max(MIN_OUTPUT_BYTES, 2 * picture.bytes))
        with self._source(picture.key) as source, self._spool() as thumbnail, self._spool() as copy:
            answer = lane.process().run(request, (source, thumbnail, copy), max_s, self._must_stop)
            if answer.error is not None:
                return PictureOutcome(picture, "failed", answer, error=answer.error)
            files = [thumbnail] if answer.width else []
            return PictureOutcome(picture, "ok", answer, self._store(*files, *([copy] if answer.type else [])))

    def _must_stop(self) -> bool:
        return self._stopping.is_set() and time.monotonic() - self._stopped_at > STOP_S

    def _spool(self) -> IO[bytes]:
        """A file without a name, of which nothing is left however this process ends."""
        return TemporaryFile(dir=self._settings.data_dir)

    @contextmanager
    def _source(self, key: str) -> Iterator[IO[bytes]]:
        """The bytes of an object as an open file; those of a bucket are copied to one."""
        path = self._objects.local_path(key)
        with self._spool() if path is None else path.open("rb") as file:
            if path is None:
                for block in self._objects.read(key):
                    file.write(block)
                file.flush()
            yield file

    def _store(self, *files: IO[bytes]) -> tuple[Stored, ...]:
        """Write files as new objects, each of which has a row before; return when they are durable."""
        lengths = [file.seek(0, 2) for file in files]
        with event.transaction(appends=False) as tx:
            names = [blobs.begin(tx, length) for length in lengths]
        try:
            return tuple(
                Stored(name, length, self._write(name.key, file)) for name, length, file in zip(names, lengths, files, strict=True)
            )
        except BaseException:
            self._leave(names)
            raise

    def _write(self, key: str, file: IO[bytes]) -> str:
        """Write an object; return its SHA-256 in hexadecimal."""
        file.seek(0)
        digest, writer = hashlib.sha256(), self._objects.writer(key)
        try:
            while block := file.read(READ_BYTES):
                digest.update(block)
                writer.write(block)
            writer.finish()
        except BaseException:
            writer.abort()
            raise
        return digest.hexdigest()

    def _leave(self, names: list[ObjectName]) -> None:
        """Leave objects that are not needed to the sweeper. It also finds them, an hour later, if this fails."""
        with suppress(Exception), event.transaction(appends=False) as tx:
            sweep.leave(tx, [name.id for name in names])

    def _record(self, outcome: PictureOutcome) -> None:
        """Write the end of an attempt, all in one transaction. Raises the store's errors."""
        picture, stored = outcome.picture, outcome.stored
        try:
            with event.transaction(appends=outcome.result in ("ok", "failed")) as tx:
                subject = self._write_result(tx, outcome)
                if subject is not None and subject.message is not None:
                    messages.append_update(tx, subject.message)
                elif subject is not None and subject.post is not None:
                    posts.append_count_updates(tx, [subject.post])
        except BaseException:
            self._leave([object_.blob for object_ in stored])  # a COMMIT whose answer was lost has recorded them
            raise
        if subject is not None and outcome.result == "ok" and picture.sent_ms is not None:
            FILE_THUMBNAIL_SECONDS.observe(max(0.0, (tx.now_ms - picture.sent_ms) / 1000))

    def _write_result(self, tx: Transaction, outcome: PictureOutcome) -> Subject | None:
        """Write the end of an attempt; returns what has the picture, if that is to be told."""
        picture = outcome.picture
        match outcome.result:
            case "ok":
                return self._write_ready(tx, outcome)
            case "failed":
                return pictures.fail(tx, picture)
            case "retried":
                pictures.defer(tx, picture, int(PICTURE_BACKOFF.delay_s(picture.attempts) * 1000))
            case "postponed":
                pictures.defer(tx, picture, STORE_DOWN_MS, counts=False)
            case _:
                pictures.defer(tx, picture, 0, counts=False)
        return None

    def _write_ready(self, tx: Transaction, outcome: PictureOutcome) -> Subject | None:
        picture, answer = outcome.picture, outcome.answer
        thumbnails, copies = (outcome.stored[:1], outcome.stored[1:]) if answer.width else ((), outcome.stored)
        thumbnail = thumbnails[0].blob.id if thumbnails else None
        subject = pictures.finish(tx, picture, answer.width, answer.height, thumbnail)
        if subject is None:  # it was removed, or another attempt has it
            blobs.discard(tx, [object_.blob.id for object_ in outcome.stored])
            return None
        for object_ in outcome.stored:
            blobs.mark_stored(tx, object_.blob.id, object_.length, object_.sha256)
        for copy in copies:
            type_ = answer.type or picture.type
            pictures.replace_content(tx, picture, copy.blob.id, copy.length, type_, _name(picture, type_))
        return subject


def _name(picture: DuePicture, type_: str) -> str:
    """The picture's name: `IMG_1.HEIC` is `IMG_1.jpg` when it has become a JPEG."""
    if type_ == picture.type:
        return picture.name
    return names.clean(names.EXTENSION.sub("", picture.name) + ".jpg", type_)
