import sqlite3
from pathlib import Path
from threading import Event, Thread

import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import signals, tasks
from jobs.drain.consumer import Consumer
from jobs.drain.drain import DrainResult, Stop
from jobs.queue import broker
from jobs.queue.broker import huey
from models.log import event
from models.store.database import rows
from tests.jobs.people import people, scalar, send
from tests.waiting import LIMIT_S

assert signals  # importing them connects them


def test_bind_touches_no_disk(tmp_path: Path) -> None:
    tasks.bind(Settings(data_dir=tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_at_most_one_drain_of_a_consumer_is_queued(store: Settings) -> None:
    assert [tasks.request("notify") for _ in range(3)] == [True, False, False]
    assert huey.pending_count() == 1
    assert tasks.request("search") is True


def test_a_task_that_begins_lets_the_next_request_in(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 3, to=ben)
    tasks.request("notify")
    before = REGISTRY.get_sample_value("bellwire_job_seconds_count", {"task": "drain", "outcome": "ok"}) or 0
    huey.execute(huey.dequeue())
    assert scalar("SELECT count FROM notifications") == 3
    assert tasks.request("notify") is True
    assert REGISTRY.get_sample_value("bellwire_job_seconds_count", {"task": "drain", "outcome": "ok"}) == before + 1
    assert REGISTRY.get_sample_value("bellwire_job_wait_seconds_count", {"task": "drain"})


def test_a_failing_drain_is_an_error_in_the_metrics_and_leaves_the_worker_alive(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(tasks, "drain_log", full)
    labels = {"task": "drain", "outcome": "error"}
    before = REGISTRY.get_sample_value("bellwire_job_seconds_count", labels) or 0
    tasks.request("notify")
    huey.execute(huey.dequeue())
    assert REGISTRY.get_sample_value("bellwire_job_seconds_count", labels) == before + 1


def test_a_run_cut_short_queues_another(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 3, to=ben)
    monkeypatch.setattr(tasks, "MAX_TASK_S", -1.0)
    tasks.request("notify")
    huey.execute(huey.dequeue())
    assert huey.pending_count() == 1


def test_a_flag_that_a_crash_left_is_deleted(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.request("notify")
    assert huey.dequeue() is not None  # by a worker that dies now
    tasks.clear_stale_flags()
    assert tasks.request("notify") is False, "the flag may still be a living worker's"
    monkeypatch.setattr(tasks, "STALE_FLAG_S", 0.0)
    tasks.clear_stale_flags()
    assert tasks.request("notify") is True


def test_run_pending_processes_everything_that_is_pending(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    people("root", role="admin")
    send(ana, 250, to=ben)
    assert tasks.run_pending() == 4 * 250
    assert tasks.run_pending() == 0
    found = scalar("SELECT (SELECT count(*) FROM activities) || ' ' || (SELECT count(*) FROM message_search)")
    assert found == "250 250"
    assert rows("SELECT count FROM notifications") == [(250,), (250,)]


def test_a_call_with_a_bound_runs_each_consumer_once_and_returns(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that never ends would hold up the renewal of leases in the same thread."""
    rounds: list[str] = []

    def never_done(name: str, stop: Stop) -> DrainResult:
        rounds.append(name)
        return DrainResult(1, 1, has_more=True, overtaken=False)

    monkeypatch.setattr(tasks, "_run_reported", never_done)
    monkeypatch.setattr(tasks, "consumers_to_run", lambda _, **__: list(tasks.consumers))
    assert tasks.run_pending(max_s=0.0) == len(tasks.consumers)
    assert rounds == list(tasks.consumers)


def test_the_lag_is_the_age_of_the_oldest_unprocessed_event(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        tx.now_ms -= 90_000
        tx.append("conversation:1", "message.created", b"{}")
    from jobs.drain.backlog import consumers_to_run

    consumers_to_run(tasks.consumers.values())
    lag = REGISTRY.get_sample_value("bellwire_log_lag_seconds", {"consumer": "search"})
    assert lag is not None
    assert 90 <= lag < 600
    tasks.run_pending()  # its data is not a message, so all four consumers park it
    assert REGISTRY.get_sample_value("bellwire_log_lag_seconds", {"consumer": "search"}) == 0
    assert scalar("SELECT count(*) FROM dead_work") == 4
    assert (ana, ben) == (1, 2)


@pytest.mark.only("sqlite")
def test_a_folder_in_place_of_the_queue_is_an_error_until_it_is_gone(store: Settings) -> None:
    assert tasks.request("notify")
    store.queue_path.rename(store.data_dir / "away.db")
    store.queue_path.mkdir()
    with pytest.raises(broker.QUEUE_ERRORS):
        tasks.request("search")
    assert huey.dequeue() is None, "the worker goes on"
    assert huey.read_schedule() == []
    store.queue_path.rmdir()
    assert tasks.request("search") is True
    assert huey.pending_count() == 1


@pytest.mark.only("sqlite")
def test_a_queue_that_was_deleted_is_not_written_into(store: Settings) -> None:
    assert tasks.request("notify")
    store.queue_path.unlink()
    assert tasks.request("notify") is True, "no other process would see a task in the deleted file"
    with sqlite3.connect(store.queue_path) as other:
        assert other.execute("SELECT count(*) FROM task").fetchone() == (1,)


def test_a_payload_that_is_not_a_task_is_dropped(store: Settings) -> None:
    for payload in (b"{}", b"\x80\x04.", b'{"at":1,"id":"x","name":"os.system","args":["true"]}'):
        huey.storage.enqueue(payload)
        assert huey.dequeue() is None
    assert huey.pending_count() == 0


def test_threads_run_a_drain_one_at_a_time_and_none_waits(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave, runs = Event(), Event(), []

    def slow(consumer: Consumer, stop: Stop) -> DrainResult:
        runs.append(consumer.name)
        entered.set()
        assert leave.wait(LIMIT_S)
        return DrainResult(1, 1, False, False)

    monkeypatch.setattr(tasks, "drain_log", slow)
    first = Thread(target=tasks.run, args=("notify",))
    first.start()
    assert entered.wait(LIMIT_S)
    assert tasks.run("notify").events == 0
    assert runs == ["notify"]
    leave.set()
    first.join(LIMIT_S)
    assert runs == ["notify", "notify"], "the running thread repeats the drain for the second caller"
