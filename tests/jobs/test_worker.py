import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from conf import VERSION, Settings
from jobs import tasks
from jobs.drain.drain import DrainResult
from jobs.worker import WorkerConsumer
from models.log import event
from models.notices.message_counts import MAX_COUNTED
from models.ops import worker as workers
from models.ops.worker import Busy
from models.store.data_dir_lock import RunningError, acquire_exclusive
from models.store.database import execute, rows
from tests.jobs.people import people, scalar, send
from tests.jobs.pictures.drawing import photo
from tests.jobs.pictures.files import file_of, objects, send_files, store_picture, updates
from tests.python import Interpreter, Python
from tests.stores import environment, free_port, named
from tests.waiting import LIMIT_S, until

ROOT = Path(__file__).parents[2]
CONSUMER = [Path(sys.executable).with_name("huey_consumer"), "jobs.app.huey"]
Start = Callable[..., subprocess.Popen[bytes]]
T = TypeVar("T")


@pytest.fixture
def start(store: Settings) -> Iterator[Start]:
    """Start worker processes on the store; those that still run are killed after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(port: int = 0, **options: object) -> subprocess.Popen[bytes]:
        env = {**os.environ, **environment(named(store)), "BELLWIRE_WORKER_METRICS_PORT": str(port)}
        env |= {"BELLWIRE_PARENT_FD": str(options["pass_fds"][0])} if "pass_fds" in options else {}  # type: ignore[index]
        with (store.data_dir / f"worker-{len(started)}.log").open("wb") as tx:
            kind = Interpreter[bytes] if "pass_fds" in options else Python[bytes]
            started.append(kind(CONSUMER, cwd=ROOT, env=env, stderr=tx, **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def logged(store: Settings, number: int = 0) -> str:
    return (store.data_dir / f"worker-{number}.log").read_text()


def test_a_worker_finds_work_without_a_request_and_ends_on_sigterm(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 30, to=ben)
    port = free_port()
    worker = start(port)
    until(lambda: scalar("SELECT count(*) FROM activities") == 30)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    assert re.search(r'bellwire_drain_rows_total\{consumer="activity"\} 30\.0', page)
    assert re.search(r'bellwire_log_lag_seconds\{consumer="notify"\} ', page)
    kind = "postgresql" if store.database_url else "sqlite"
    assert re.search(rf'bellwire_build_info\{{bus="\w+",database="{kind}",queue="{kind}",version="{VERSION}"\}} 1\.0', page)
    free = re.search(r"^bellwire_disk_free_bytes (\S+)$", page, re.MULTILINE)
    assert free is not None
    assert 0 < float(free[1]) <= shutil.disk_usage(store.data_dir).total
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_S) == 0
    assert {line["event"] for line in map(json.loads, logged(store).splitlines())} == {"drain_run"}


def test_a_worker_runs_queued_tasks(store: Settings, start: Start) -> None:
    worker = start()
    assert tasks.request("notify")
    until(lambda: tasks.huey.pending_count() == 0)
    until(lambda: tasks.request("notify"))
    until(lambda: rows("SELECT 1 FROM duties"))  # the checker starts last, and acquires the lease: signals are handled by then
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_S) == 0


@pytest.mark.only("sqlite")
def test_a_worker_without_a_queue_works(store: Settings, start: Start) -> None:
    store.queue_path.mkdir()
    ana, ben = people("ana", "ben")
    send(ana, 3, to=ben)
    worker = start()
    until(lambda: scalar("SELECT count(*) FROM message_search") == 3)
    assert worker.poll() is None
    store.queue_path.rmdir()
    assert tasks.request("notify")
    until(lambda: tasks.huey.pending_count() == 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_S) == 0
    assert logged(store).count("queue_failing") == 1
    assert logged(store).count("queue_recovered") == 1


def test_a_worker_ends_when_its_parents_pipe_closes(store: Settings, start: Start) -> None:
    reading, writing = os.pipe()
    worker = start(pass_fds=(reading,))
    os.close(reading)
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    until(lambda: scalar("SELECT count(*) FROM activities") == 1)
    assert worker.poll() is None
    os.close(writing)
    assert worker.wait(LIMIT_S) in (0, 1)
    assert "BELLWIRE_PARENT_FD" not in logged(store)


def test_a_killed_workers_backlog_is_finished_exactly(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    people("root", role="admin")
    for _ in range(10):
        send(ana, 300, to=ben)
    worker = start()
    until(lambda: scalar("SELECT count(*) FROM notifications") != 0)
    worker.kill()
    worker.wait()
    assert scalar("SELECT min(position) FROM checkpoints") != scalar("SELECT max(id) FROM events WHERE type='message.created'")
    second = start()
    until(lambda: scalar("SELECT count(*) FROM message_search") == 3000)
    until(lambda: rows("SELECT count FROM notifications ORDER BY count") == [(MAX_COUNTED,), (3000,)])
    until(lambda: scalar("SELECT count(*) FROM activities") == 3000)
    second.send_signal(signal.SIGTERM)
    assert second.wait(LIMIT_S) == 0
    assert scalar("SELECT count(*) FROM activities") == 3000
    assert rows("SELECT count FROM notifications ORDER BY count") == [(MAX_COUNTED,), (3000,)]
    assert scalar("SELECT count(*) FROM dead_work") == 0


@pytest.mark.only("sqlite")
def test_a_killed_workers_picture_is_made_ready_by_the_next(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    number = store_picture(store, ana, photo(orientation=6), "image/jpeg")
    send_files(ana, ben, [number])
    worker = start()
    until(lambda: scalar("SELECT attempts FROM files") != 0)
    worker.kill()
    worker.wait()
    with event.transaction():
        execute("UPDATE files SET next_ms=1 WHERE next_ms IS NOT NULL")  # the lease has ended
    second = start()
    until(lambda: file_of(number)["state"] == "ready")
    assert not file_of(number)["private"]
    assert len(updates()) == 1
    second.send_signal(signal.SIGTERM)
    assert second.wait(LIMIT_S) == 0
    assert objects(store) <= {key for (key,) in rows("SELECT key FROM blobs")}


def test_importing_the_application_starts_nothing(store: Settings) -> None:
    script = "import threading, jobs.app; print(threading.active_count())"
    env = {**os.environ, **environment(named(store)), "BELLWIRE_PARENT_FD": "0"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_S)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert not store.queue_path.exists()


def test_a_running_worker_prevents_a_restore(store: Settings, start: Start) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    start()
    until(lambda: scalar("SELECT count(*) FROM activities") == 1)
    with pytest.raises(RunningError), acquire_exclusive(store.data_dir):
        pass


@pytest.mark.parametrize(("options", "workers"), [({}, 3), ({"workers": 1}, 3), ({"workers": 5}, 5)])
def test_a_consumer_without_options_has_our_defaults(tmp_path: Path, options: dict[str, int], workers: int) -> None:
    tasks.bind(Settings(data_dir=tmp_path, workers=3))
    tasks.huey.consumer_class = WorkerConsumer
    consumer = tasks.huey.create_consumer(max_delay=10.0, initial_delay=0.1, shutdown_timeout=None, **options)
    assert consumer.workers == workers
    assert (consumer.max_delay, consumer.default_delay, consumer.graceful_signal) == (0.04, 0.02, "TERM")
    assert consumer.shutdown_timeout
    assert list(tmp_path.iterdir()) == []


def test_a_worker_is_listed_with_its_work_until_it_ends(store: Settings, start: Start) -> None:
    process = start()
    (found,) = until(workers.all_workers)
    assert (found["alive"], found["running"]) == (True, [])
    process.terminate()
    until(lambda: workers.all_workers() == [])
    with event.transaction(appends=False) as tx:
        workers.record(tx, "somewhere:1", 1, [Busy("drain search", 1)])
    (found,) = workers.all_workers()
    assert (found["alive"], found["running"]) == (True, [{"what": "drain search", "since": "1970-01-01T00:00:00.001Z"}])
    execute("UPDATE workers SET seen_ms=seen_ms-?", (workers.ALIVE_MS,))
    assert workers.all_workers()[0]["alive"] is False


@pytest.mark.only("sqlite")
def test_long_work_is_listed_with_its_beginning(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MIN_REPORTED_MS", -1)
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    seen = []

    def work(*_: object) -> DrainResult:
        seen.extend(work.what for work in tasks.running_work())
        return tasks.NO_WORK

    monkeypatch.setattr(tasks, "drain_log", work)
    tasks.run("search")
    assert (seen, tasks.running_work()) == (["drain search"], [])
