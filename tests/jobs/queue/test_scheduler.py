"""Periodic work has one worker at a time, and another when that one is gone."""

import pytest

from conf import Settings
from jobs.queue import scheduler as scheduler_module
from jobs.queue.broker import huey
from jobs.queue.scheduler import Scheduler
from models.store.database import execute, rows


@pytest.fixture(autouse=True)
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "RENEW_S", 0.0)


def looks(*schedulers: Scheduler) -> list[bool]:
    """Who is on duty after all have looked."""
    for each in schedulers:
        each.renew()
    return [each.has_lease for each in schedulers]


def test_of_several_workers_one_is_on_duty(store: Settings) -> None:
    first, second = Scheduler(), Scheduler()
    assert looks(first, second) == [True, False]
    assert looks(second, first) == [False, True]


def test_who_ends_hands_over_at_once(store: Settings) -> None:
    first, second = Scheduler(), Scheduler()
    looks(first, second)
    first.release()
    assert not first.has_lease
    assert looks(second, first) == [True, False]


def test_who_dies_is_followed_when_the_lease_has_run_out(store: Settings) -> None:
    dead, other = Scheduler(), Scheduler()
    looks(dead)
    assert looks(other) == [False]
    execute("UPDATE duties SET until_ms=until_ms-?", (int(scheduler_module.LEASE_S * 1000) + 1,))
    assert looks(other) == [True]
    assert looks(dead) == [False], "it was asleep, and is not on duty any more"


def test_who_stood_still_is_not_on_duty_when_it_wakes_up(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "LEASE_S", 0.0)
    slow = Scheduler()
    slow.renew()
    assert not slow.has_lease


def test_only_who_is_on_duty_queues_what_is_periodic(store: Settings) -> None:
    assert huey.read_periodic(None) == []
    huey.scheduler.renew()
    try:
        assert [task.name for task in huey.read_periodic(None)] == ["sweep"]
    finally:
        huey.scheduler.release()
    assert rows("SELECT * FROM duties") == []
