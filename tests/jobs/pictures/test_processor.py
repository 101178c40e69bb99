"""Pictures of messages and posts are made ready, and their members get clean bytes and an update."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import peewee
import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import tasks
from jobs.pictures import processor as processor_module
from jobs.pictures import runner
from jobs.pictures.process import PictureAnswer, PictureRequest
from jobs.pictures.processor import PictureProcessor
from jobs.pictures.runner import PictureProcess
from models.chat import message as messages
from models.community import post, removal
from models.files import pictures
from models.log import event
from models.log.event import Transaction
from models.store.database import engine, execute, rows
from models.store.errors import FullError
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar
from tests.jobs.pictures.drawing import CAMERA, draw, encoded, hostile, photo
from tests.jobs.pictures.files import content_of, file_of, objects, picture_of, send_files, store_picture, unused, updates
from tests.python import Python, run_python
from tests.s3_server import S3Server
from tests.waiting import until

Start = Callable[[], PictureProcessor]
PROCESS_ONE = "from jobs.pictures.processor import PictureProcessor as P; one = P(settings); one.process_next(one._lanes[0])"
PICTURE = encoded(draw(1200, 600), "image/png")
PARENT = "import sys; from jobs.pictures.runner import PictureProcess; print(PictureProcess().pid, flush=True); sys.stdin.read()"


def make_due() -> None:
    with event.transaction():
        execute("UPDATE files SET next_ms=1 WHERE next_ms IS NOT NULL")


def process_next(settings: Settings, lane: int = 0) -> bool:
    """Make one attempt at the next picture in this thread."""
    one = PictureProcessor(settings)
    try:
        return one.process_next(one._lanes[lane])
    finally:
        one._lanes[lane].close_idle(0.0)


def pictures_total(outcome: str) -> float:
    return REGISTRY.get_sample_value("bellwire_file_pictures_total", {"outcome": outcome}) or 0.0


def assert_nothing_is_lost(settings: Settings) -> None:
    """The store has the objects of all files, and else only those that the sweeper removes."""
    used = {key for (key,) in rows("SELECT b.key FROM blobs b JOIN files f ON b.id IN (f.content_id, f.thumbnail_id)")}
    assert used <= objects(settings) <= used | unused()
    assert rows("SELECT 1 FROM blobs b WHERE state='stored' AND key NOT IN (SELECT b.key FROM blobs b JOIN files f "
                "ON b.id IN (f.content_id, f.thumbnail_id))") == []  # fmt: skip


def test_a_picture_gets_a_size_and_a_thumbnail_and_its_message_is_updated(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    message = send_files(ana, ben, [number], "look")
    done, observed = pictures_total("ok"), "bellwire_file_thumbnail_seconds_count"
    before = REGISTRY.get_sample_value(observed) or 0.0
    start()
    (update,) = until(updates)
    (view,) = update["files"]
    assert (update["id"], update["body"], update["edited_at"]) == (message, "look", None)
    assert (update["mentions_added"], update["mentions_all_added"]) == ([], False)
    assert {"width": 1200, "height": 600, "thumbnail": True, "state": "ready"}.items() <= view.items()
    row = file_of(number)
    assert content_of(store, row["content"]) == PICTURE
    thumbnail = picture_of(store, row["thumbnail"])
    assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("WEBP", (512, 256), "RGB")
    until(lambda: REGISTRY.get_sample_value(observed) == before + 1)
    assert pictures_total("ok") == done + 1
    assert pictures.count_pending() == 0


def test_a_photo_is_delivered_without_its_place_and_keeps_its_id(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(orientation=6), "image/jpeg", "a.jpg")
    other = store_picture(store, ana, photo("image/heic"), "image/heic", "IMG 1.HEIC")
    old = file_of(number)
    assert old["private"]
    send_files(ana, ben, [number, other])
    start()
    until(lambda: pictures.count_pending() == 0)
    row = file_of(number)
    assert (row["private"], row["state"], row["width"], row["height"], row["name"]) == (False, "ready", 48, 64, "a.jpg")
    copy = content_of(store, row["content"])
    assert (len(copy), CAMERA in copy, row["content"] != old["content"]) == (row["bytes"], False, True)
    converted = file_of(other)
    assert (converted["type"], converted["name"], converted["private"]) == ("image/jpeg", "IMG 1.jpg", False)
    assert picture_of(store, converted["content"]).format == "JPEG"
    assert_nothing_is_lost(store)
    assert [file["bytes"] for file in updates()[-1]["files"]] == [row["bytes"], converted["bytes"]]


def test_a_picture_without_a_decoder_is_ready_without_a_thumbnail(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo("image/heic"), "image/heic", "a.heic")
    send_files(ana, ben, [number])

    def clean(one: PictureProcess, request: PictureRequest, files: Sequence[IO[bytes]], *_: object) -> PictureAnswer:
        one.close()
        files[2].write(b"clean")
        return PictureAnswer(type=request.type)

    monkeypatch.setattr(PictureProcess, "run", clean)
    assert process_next(store)
    (view,) = updates()[0]["files"]
    assert (view["state"], view["thumbnail"], view["width"], view["bytes"], view["name"]) == ("ready", False, None, 5, "a.heic")
    assert content_of(store, file_of(number)["content"]) == b"clean"


def test_a_posts_picture_and_its_update(store: Settings, start: Start) -> None:
    (ana,) = people("ana")
    number = store_picture(store, ana, PICTURE)
    with event.transaction() as tx:
        made = post.create(tx, ana, None, "", files=[number])
    start()
    (update,) = until(updates)
    assert (update["id"], update["files"][0]["thumbnail"], update["likes_count"]) == (made.id, True, 0)
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", made.id)
    assert updates()[0]["files"] == []
    assert_nothing_is_lost(store)


def test_nobody_is_notified_of_it_and_nothing_is_edited(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    message = send_files(ana, ben, [store_picture(store, ana, PICTURE)], "look @ben")
    tasks.run_pending()
    sql = "SELECT (SELECT sum(count) FROM notifications), (SELECT count(*) FROM emails), (SELECT count(*) FROM message_search)"
    before = rows(sql)
    assert process_next(store)
    tasks.run_pending()
    assert rows(sql) == before
    assert scalar("SELECT edited_ms FROM messages WHERE id=?", message) is None
    with event.transaction() as tx:
        messages.delete(tx, ana, "user", message)
    assert [(update["body"], update["files"]) for update in updates()] == [("", [])]
    assert_nothing_is_lost(store)


def test_what_was_deleted_meanwhile_stays_deleted(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(), "image/jpeg")
    message = send_files(ana, ben, [number])
    decode = PictureProcessor._decode

    def deleted_after(one: PictureProcessor, *args: object) -> object:
        outcome = decode(one, *args)  # type: ignore[arg-type]
        with event.transaction() as tx:
            messages.delete(tx, ana, "user", message)
        return outcome

    monkeypatch.setattr(PictureProcessor, "_decode", deleted_after)
    assert process_next(store)
    assert (updates(), rows("SELECT 1 FROM files"), len(unused())) == ([], [], 3)
    assert objects(store) <= unused()
    assert not process_next(store)


@pytest.mark.only("sqlite")
def test_hostile_pictures_end_and_cost_nobody_else_anything(store: Settings, start: Start) -> None:
    eve, ana, ben = people("eve", "ana", "ben")
    numbers = {name: store_picture(store, eve, data, type_) for name, (type_, data, _) in hostile().items()}
    ids = list(numbers.values())
    for first in range(0, len(ids), 10):
        send_files(eve, ben, ids[first : first + 10])
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    start()
    until(lambda: pictures.count_pending() == 0)
    assert {name: file_of(id_)["state"] for name, id_ in numbers.items()} == {name: end for name, (_, _, end) in hostile().items()}
    assert file_of(number)["state"] == "ready"
    finished = [update["id"] for update in updates()]
    assert finished.index(scalar("SELECT message FROM files WHERE id=?", number)) <= 3, (
        "each account has a picture done in its place"
    )
    assert_nothing_is_lost(store)


@pytest.mark.only("sqlite")
def test_a_picture_in_a_bucket(store: Settings, s3: S3Server) -> None:
    settings = store.model_copy(update={"files_url": s3.new_bucket()})
    ana, ben = people("ana", "ben")
    number = store_picture(settings, ana, photo(orientation=6), "image/jpeg")
    send_files(ana, ben, [number])
    assert process_next(settings)
    row = file_of(number)
    assert picture_of(settings, row["thumbnail"]).size == picture_of(settings, row["content"]).size == (48, 64)
    assert_nothing_is_lost(settings)


def test_owners_are_served_one_after_the_other(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    for owner, count in ((ana, 3), (ben, 2), (cleo, 1)):
        send_files(owner, ana if owner == ben else ben, [store_picture(store, owner, b"", "image/png") for _ in range(count)])
    order, after = [], 0
    while due := pictures.next_due(engine().now_ms(), after, [], 1):
        with event.transaction() as tx:
            assert pictures.acquire(tx, due) is not None
            assert pictures.acquire(tx, due) is None, "it is leased"
        after = due.owner
        order.append(after)
    assert order == [ana, ben, cleo, ana, ben, ana]
    make_due()
    assert pictures.next_due(engine().now_ms(), 0, [ana, ben], 2) is not None
    assert pictures.next_due(engine().now_ms(), 0, [ana, ben, cleo], 2) is None
    assert pictures.next_due(engine().now_ms(), 0, [], 1) is None, "the second attempt is for the thread of slow ones"


def test_a_picture_that_kills_its_process_is_tried_three_times(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(), "image/jpeg")
    send_files(ana, ben, [number])
    crash = "import os, signal; os.write(0, b'\\n'); os.read(0, 1); os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-S", "-c", crash))
    retried, failed = pictures_total("retried"), pictures_total("failed")
    assert process_next(store, lane=1)
    make_due()
    assert not process_next(store, lane=1), "the first thread tries it again"
    for _ in range(2):
        assert process_next(store)
        make_due()
    assert not process_next(store)
    row = file_of(number)
    assert (row["state"], row["private"], row["attempts"]) == ("failed", True, 3)
    assert (pictures_total("retried"), pictures_total("failed")) == (retried + 2, failed + 1)
    assert [update["files"][0]["state"] for update in updates()] == ["failed"]


def test_a_picture_that_needs_too_long_with_all_the_time_fails(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    slow = "import os, signal; os.write(0, b'\\n'); os.read(0, 1); os.kill(os.getpid(), signal.SIGXCPU)"
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-S", "-c", slow))
    for state in ("pending", "failed"):
        assert process_next(store)
        assert file_of(number)["state"] == state
        make_due()


def test_a_picture_that_killed_its_workers_fails(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    execute("UPDATE files SET attempts=3")
    failed = pictures_total("failed")
    assert process_next(store)
    assert file_of(number)["state"] == "failed"
    assert pictures_total("failed") == failed + 1


def test_a_process_that_does_not_start_is_no_fault_of_the_picture(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    with monkeypatch.context() as patched:
        patched.setattr(runner, "COMMAND", (sys.executable, "-S", "-c", "raise SystemExit(1)"))
        assert process_next(store)
    row = file_of(number)
    assert (row["state"], row["attempts"], row["holder"]) == ("pending", 0, None)


def test_a_full_disk_is_no_fault_of_the_picture(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])

    def full(*_: object) -> str:
        raise FullError("there is no space left for files")

    with monkeypatch.context() as patched:
        patched.setattr(PictureProcessor, "_write", full)
        assert process_next(store)
        make_due()
        patched.setattr(PictureProcessor, "_spool", lambda _: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115 - closed by its user
        assert process_next(store)
    row = file_of(number)
    assert (row["state"], row["attempts"], row["holder"], len(unused())) == ("pending", 0, None, 1)
    make_due()
    assert process_next(store)
    assert file_of(number)["state"] == "ready"
    assert_nothing_is_lost(store)


def test_a_commit_whose_answer_is_lost_keeps_its_objects(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(), "image/jpeg")
    send_files(ana, ben, [number])
    transaction = event.transaction

    @contextmanager
    def unanswered(*, appends: bool = True, durable: bool = True) -> Iterator[Transaction]:
        with transaction(appends=appends, durable=durable) as tx:
            yield tx
        if appends:
            raise peewee.OperationalError("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(event, "transaction", unanswered)
        with pytest.raises(peewee.OperationalError):
            process_next(store)
    row = file_of(number)
    assert (row["state"], picture_of(store, row["thumbnail"]).size) == ("ready", (64, 48))
    assert CAMERA not in content_of(store, row["content"])
    assert_nothing_is_lost(store)


def test_a_worker_that_ends_leaves_the_picture_to_another(store: Settings, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    with monkeypatch.context() as patched:
        patched.setattr(runner, "COMMAND", (sys.executable, "-S", "-c", "import time; time.sleep(600)"))
        patched.setattr(processor_module, "STOP_S", 0.0)
        one = start()
        until(lambda: file_of(number)["holder"])
        one.stop()
        one.join(60)
    row = file_of(number)
    assert (row["state"], row["attempts"], row["holder"]) == ("pending", 0, None)
    start()
    until(lambda: file_of(number)["state"] == "ready")


def test_pictures_that_a_fast_clock_has_planned_are_due(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, PICTURE)
    send_files(ana, ben, [number])
    with event.transaction():
        execute("UPDATE files SET next_ms=next_ms+?", (pictures.MAX_DELAY_MS * 10,))
    start()
    until(lambda: file_of(number)["state"] == "ready")


@pytest.mark.parametrize(("commit", "when"), [(1, "after"), (2, "after"), (3, "before"), (3, "after")])
@pytest.mark.only("sqlite")
def test_a_kill_at_each_commit_leaves_no_object_and_no_half_picture(store: Settings, commit: int, when: str) -> None:
    """The commits are those of the lease, of the rows of the new objects, and of the result."""
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(orientation=3), "image/jpeg")
    send_files(ana, ben, [number])
    killed_at(store, PROCESS_ONE, commit, when)
    is_done = (commit, when) == (3, "after")
    row = file_of(number)
    assert (row["state"], row["private"]) == (("ready", False) if is_done else ("pending", True))
    assert_nothing_is_lost(store)
    make_due()
    assert process_next(store) is not is_done
    row = file_of(number)
    assert (row["state"], row["private"], len(updates())) == ("ready", False, 1)
    assert CAMERA not in content_of(store, row["content"])
    assert_nothing_is_lost(store)


def test_the_process_ends_with_its_worker() -> None:
    worker = Python(["-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    worker.kill()
    worker.wait()
    until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_process_can_open_nothing_start_nothing_and_has_limits() -> None:
    script = """
import os, resource, socket
from jobs.pictures.process import MAX_MEMORY_BYTES, limit
limit(1, 1000, has_threads=False)
refused = []
for attempt in (lambda: open("/etc/passwd"), socket.socket, lambda: bytearray(MAX_MEMORY_BYTES)):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        refused.append(type(error).__name__)
print(refused, resource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_FSIZE), flush=True)
while True:
    pass
"""
    done = run_python(["-c", script])
    assert done.stdout.split("\n")[0] == "['OSError', 'OSError', 'MemoryError'] (0, 0) (1000, 1000)"
    assert -done.returncode == signal.SIGXCPU, done.stderr


def test_its_environment_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_SECRET_KEY", "not for decoders")
    process = PictureProcess()
    try:
        assert b"not for decoders" not in Path(f"/proc/{process.pid}/environ").read_bytes()
        assert os.getsid(process.pid) == process.pid
    finally:
        process.close()
    assert not is_running(process.pid)
