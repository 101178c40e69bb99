"""Periodic work is done by one worker at a time, and by another when that one is gone."""

import pytest

from conf import Settings
from jobs.queue import scheduler as scheduler_module
from jobs.queue.broker import huey
from jobs.queue.scheduler import Scheduler
from models.store.database import execute, rows


@pytest.fixture(autouse=True)
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "RENEW_S", 0.0)


def renew_all(*schedulers: Scheduler) -> list[bool]:
    """Whether each has the lease after all have renewed."""
    for each in schedulers:
        each.renew()
    return [each.has_lease for each in schedulers]


def test_one_of_several_workers_has_the_lease(store: Settings) -> None:
    first, second = Scheduler(), Scheduler()
    assert renew_all(first, second) == [True, False]
    assert renew_all(second, first) == [False, True]


def test_a_worker_that_ends_releases_the_lease_at_once(store: Settings) -> None:
    first, second = Scheduler(), Scheduler()
    renew_all(first, second)
    first.release()
    assert not first.has_lease
    assert renew_all(second, first) == [True, False]


def test_the_lease_of_a_dead_worker_expires(store: Settings) -> None:
    dead, other = Scheduler(), Scheduler()
    renew_all(dead)
    assert renew_all(other) == [False]
    execute("UPDATE duties SET until_ms=until_ms-?", (int(scheduler_module.LEASE_S * 1000) + 1,))
    assert renew_all(other) == [True]
    assert renew_all(dead) == [False], "it was suspended, and its lease has expired"


def test_a_suspended_worker_has_no_lease_when_it_continues(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "LEASE_S", 0.0)
    slow = Scheduler()
    slow.renew()
    assert not slow.has_lease


def test_only_the_worker_with_the_lease_queues_periodic_tasks(store: Settings) -> None:
    assert huey.read_periodic(None) == []
    huey.scheduler.renew()
    try:
        assert [task.name for task in huey.read_periodic(None)] == ["sweep"]
    finally:
        huey.scheduler.release()
    assert rows("SELECT * FROM duties") == []
