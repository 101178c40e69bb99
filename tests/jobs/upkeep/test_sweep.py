"""The sweep of every minute is run by one thread of all workers, however long it takes."""

from threading import Event, Thread

import pytest

from conf import Settings
from jobs import tasks
from jobs.queue.broker import huey
from models.store.database import execute, rows
from tests.waiting import LIMIT_S, until


class Slow:
    """A sweep that runs until `leave` is set."""

    def __init__(self) -> None:
        self.runs = 0
        self.entered, self.leave = Event(), Event()

    def __call__(self, _stop: object) -> None:
        self.runs += 1
        self.entered.set()
        assert self.leave.wait(LIMIT_S)


@pytest.fixture
def slow(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Slow:
    sweep = Slow()
    monkeypatch.setattr(tasks.retention, "run", sweep)
    return sweep


def queued() -> Thread:
    """A thread that runs a queued sweep, as a worker does."""
    tasks.sweep()
    return Thread(target=huey.execute, args=(huey.dequeue(),), daemon=True)


def test_a_sweep_longer_than_a_minute_occupies_one_thread(slow: Slow) -> None:
    first, second = queued(), queued()
    first.start()
    assert slow.entered.wait(LIMIT_S)
    second.start()
    second.join(LIMIT_S)
    assert not second.is_alive(), "it has nothing to wait for"
    assert slow.runs == 1
    slow.leave.set()
    first.join(LIMIT_S)
    tasks.sweep.call_local()
    assert slow.runs == 2
    assert rows("SELECT * FROM duties") == []


def test_a_killed_sweep_is_followed_by_another_when_its_lease_expires(slow: Slow) -> None:
    killed = queued()
    killed.start()
    assert slow.entered.wait(LIMIT_S)
    execute("UPDATE duties SET until_ms=until_ms-?", (int(2_000 * tasks.MAX_SWEEP_S) + 1,))
    after = queued()
    after.start()
    until(lambda: slow.runs == 2)
    slow.leave.set()
    for thread in (killed, after):
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def test_a_sweep_that_fails_releases_its_lease(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_stop: object) -> None:
        raise OSError("why")

    monkeypatch.setattr(tasks.retention, "run", fail)
    with pytest.raises(OSError, match="why"):
        tasks.sweep.call_local()
    assert rows("SELECT * FROM duties") == []
