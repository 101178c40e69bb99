"""Readiness of a gateway without requests while commits fail, and the parts that don't work."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest
from prometheus_client import REGISTRY

from conf import Settings
from gateway.commit import committer as committer_module
from gateway.http.health import PARTS, HealthMonitor
from jobs.infra.outage import Outage
from models.store import facts
from models.store.database import engine, rows
from tests.journeys.core import Core, opened
from tests.models.people import people
from tests.stores import Database
from tests.waiting import until_async


@pytest.fixture(autouse=True)
def store(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(committer_module, "PROBE_AFTER_S", 0.0)  # each check writes
    with database.fresh() as options, opened(tmp_path, durability="normal", **options) as settings:
        yield settings


def head() -> list[tuple[int]]:
    return rows("SELECT count(*) FROM events")


def test_a_quiet_gateway_finds_out_that_commits_fail_and_that_they_succeed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a real process can't grow in tests/gateway/commit/test_committer.py; here the commit alone fails."""

    def full(*_: object) -> bool:
        raise peewee.OperationalError("database or disk is full")

    async def scenario() -> None:
        async with Core() as core:
            health = HealthMonitor(core.read, core.committer)
            await health.check()
            assert health.failing() == []
            with monkeypatch.context() as patch:
                patch.setattr(engine(), "commit", full)
                await health.check()
                assert health.failing() == ["commits"]
                assert REGISTRY.get_sample_value("bellwire_ready") == 0
            await until_async(lambda: not core.committer.down)
            await health.check()
            await until_async(lambda: health.failing() == [])
            assert REGISTRY.get_sample_value("bellwire_ready") == 1

    asyncio.run(scenario())


def test_one_commit_that_succeeds_soon_after_a_failure_does_not_make_a_gateway_ready() -> None:
    """On a full disk a small commit fits now and then."""
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            core.committer._failed_at = time.monotonic() + 1_000  # a moment ago, however busy this machine is
            await core.send(ana, to=ben)
            assert core.committer.failing
            core.committer._failed_at = time.monotonic() - 1_000
            assert not core.committer.failing

    asyncio.run(scenario())


def test_a_probe_writes_no_event_and_only_when_nothing_else_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "PROBE_AFTER_S", 3600.0)
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            before = head()
            await core.committer.probe()
            first = facts.Fact.get_by_id(facts.PROBED).value
            assert head() == before
            await core.send(ana, to=ben)
            await core.committer.probe()
            assert facts.Fact.get_by_id(facts.PROBED).value == first

    asyncio.run(scenario())


def test_an_operation_that_waits_for_too_long_makes_the_gateway_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "MAX_WAIT_S", 0.0)

    async def scenario() -> None:
        async with Core() as core:
            health = HealthMonitor(core.read, core.committer)
            operation = core.committer.call(None, lambda tx: None)
            assert health.failing() == ["commits"]
            await operation
            assert health.failing() == []

    asyncio.run(scenario())


def test_what_fails_is_read_from_memory_and_is_a_series_for_each_part() -> None:
    async def scenario() -> None:
        async with Core() as core:
            health = HealthMonitor(core.read, core.committer)
            relay = Outage("relay_in_a_test", "mail waits")
            health.parts |= {"mail": lambda: relay.ongoing}
            health.vital |= {"loop": lambda: False}
            assert [REGISTRY.get_sample_value("bellwire_degraded", {"part": part}) for part in PARTS] == [0.0] * len(PARTS)
            relay.record_failure(ConnectionError())
            assert health.degraded() == ["mail"]
            assert REGISTRY.get_sample_value("bellwire_degraded", {"part": "mail"}) == 1
            assert health.failing() == []
            health.vital |= {"loop": lambda: True}
            assert health.failing() == ["loop"]

    asyncio.run(scenario())
