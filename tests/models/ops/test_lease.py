"""Leases and heartbeats are compared with the store's clock; the clocks of the hosts may differ."""

from datetime import timedelta

import pytest
import time_machine

from conf import Settings
from models.log import event
from models.ops import lease, worker
from models.store.database import engine, execute

FOR_MS = 30_000


def acquire(owner: str) -> bool:
    with event.transaction(appends=False) as tx:
        return lease.acquire(tx, "work", owner, FOR_MS)


def test_one_owner_at_a_time_has_a_lease_until_it_runs_out(store: Settings) -> None:
    assert [acquire(owner) for owner in ("one", "two", "one")] == [True, False, True]
    with event.transaction():
        execute("UPDATE duties SET until_ms=?", (engine().now_ms() - 1,))
    assert [acquire(owner) for owner in ("two", "one")] == [True, False]


def test_a_lease_that_was_written_while_a_clock_was_ahead_is_free(store: Settings) -> None:
    assert acquire("ahead")
    with event.transaction():
        execute("UPDATE duties SET until_ms=?", (engine().now_ms() + 3_600_000,))
    assert acquire("another")


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("hours", [-1, 1])
def test_the_clock_is_that_of_the_store(store: Settings, hours: int) -> None:
    with time_machine.travel(timedelta(hours=hours)):
        assert acquire("on another host")
        with event.transaction(appends=False) as tx:
            worker.record(tx, "there", 0, [])
    assert not acquire("here")
    assert [each["alive"] for each in worker.all_workers()] == [True]
