"""Presence of a gateway's users: the lease, the changes and their announcements."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from conf import Settings
from gateway.delivery import presence as module
from gateway.delivery.presence import Presence
from models.chat import presence
from models.log import event
from models.store.database import disconnect, engine, execute, rows
from tests.journeys.core import Core, opened
from tests.models.people import group, people
from tests.stores import Database
from tests.waiting import LIMIT_S, until_async


@pytest.fixture(autouse=True)
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    with database.fresh() as options, opened(tmp_path, durability="normal", **options) as settings:
        yield settings


def crowd(count: int) -> list[int]:
    """Return users, each in a group with the next one."""
    users = people(*(f"user{n}" for n in range(count)))
    for user, other in zip(users[::2], users[1::2], strict=True):
        group(user, other)
    return users


class Announced:
    """The parts of a gateway around presence: what was announced, and the reads for it."""

    def __init__(self, core: Core) -> None:
        self.events: list[tuple[int, bool]] = []
        self.reads = 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._core = core
        self.presence = Presence(core.recorder, self._read, self._publish)  # type: ignore[arg-type]

    async def _read(self, work: Callable[..., Any], *args: Any) -> Any:
        await self.may_read.wait()
        self.reads += 1
        return await self._core.read(work, *args)

    def _publish(self, peers: list[int], stream: str, event_type: str, data: dict[str, Any], *, except_user: int) -> None:
        assert (stream, event_type, len(peers)) == ("", "presence", 1)
        assert data["user"] == except_user
        self.events.append((data["user"], data["online"]))


def lease_of(gateway: str) -> int:
    return int(rows("SELECT coalesce(max(until_ms), 0) FROM leases WHERE gateway=?", (gateway,))[0][0])


def expire(gateway: str) -> None:
    with event.transaction():
        execute("UPDATE leases SET until_ms=1000 WHERE gateway=?", (gateway,))


def test_thousands_of_announcements_do_not_delay_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY_S", 0.0)
    users = crowd(300)

    async def scenario() -> None:
        async with Core() as core:
            gateway = Announced(core)
            gateway.may_read.clear()
            for user in users:
                gateway.presence.connected(user)
            await until_async(lambda: len(presence.online_now(users)) == 300)
            expire(gateway.presence.gateway)
            assert presence.online_now(users) == set()
            gateway.presence.sweep()
            await until_async(lambda: len(presence.online_now(users)) == 300)
            assert gateway.events == []
            gateway.may_read.set()
            await until_async(lambda: len(gateway.events) == 300)
            assert sorted(gateway.events) == [(user, True) for user in users]
            assert gateway.reads < 10, "a query announces many"

    asyncio.run(scenario())


def test_a_gateway_puts_back_its_users_whom_another_one_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY_S", 0.0)
    users = crowd(4)

    async def scenario() -> None:
        async with Core() as core:
            gateway = Announced(core)
            for user in users:
                gateway.presence.connected(user)
            await until_async(lambda: len(gateway.events) == 4)
            expire(gateway.presence.gateway)
            assert presence.write_changes("another", [], []).offline == users
            assert presence.online_now(users) == set()
            gateway.presence.sweep()
            await until_async(lambda: len(gateway.events) == 8)
            assert presence.online_now(users) == set(users)
            assert gateway.events[4:] == [(user, True) for user in users]

    asyncio.run(scenario())


def test_users_of_a_gateway_that_ends_are_away_only_when_its_lease_has_run_out() -> None:
    ana, ben = crowd(2)

    async def scenario() -> None:
        async with Core() as core:
            gateway = Announced(core)
            for user in (ana, ben):
                gateway.presence.connected(user)
            await until_async(lambda: len(gateway.events) == 2)
            before = lease_of(gateway.presence.gateway)
            await gateway.presence.close()
            assert lease_of(gateway.presence.gateway) >= before
            assert presence.online_now([ana, ben]) == {ana, ben}
            next_one = Announced(core)
            next_one.presence.connected(ana)
            await until_async(lambda: lease_of(next_one.presence.gateway) and not next_one.presence._tasks)
            expire(gateway.presence.gateway)
            next_one.presence._renewed = -1e9
            next_one.presence.sweep()
            await until_async(lambda: next_one.events)
            assert next_one.events == [(ben, False)]

    asyncio.run(scenario())


def test_changes_that_could_not_be_written_are_written_later() -> None:
    ana, ben = crowd(2)
    execute("ALTER TABLE leases RENAME TO broken")

    async def scenario() -> None:
        async with Core() as core:
            gateway = Announced(core)
            for user in (ana, ben):
                gateway.presence.connected(user)
                await until_async(lambda: not gateway.presence._tasks)
            execute("ALTER TABLE broken RENAME TO leases")
            gateway.presence.sweep()
            await until_async(lambda: gateway.events and not gateway.presence._tasks)
            assert gateway.events == [(ana, True), (ben, True)], "each once"
            assert presence.online_now([ana, ben]) == {ana, ben}

    asyncio.run(scenario())


@pytest.mark.only("postgresql")
def test_presence_is_written_while_a_send_has_the_logs_lock() -> None:
    ana, ben = crowd(2)

    async def scenario() -> None:
        async with Core() as core:
            gateway = Announced(core)
            with event.transaction():
                gateway.presence.connected(ana)
                await until_async(lambda: gateway.events == [(ana, True)])
            assert presence.online_now([ana, ben]) == {ana}

    asyncio.run(scenario())


def test_a_user_of_two_gateways_is_announced_once() -> None:
    (ana,) = people("ana")
    assert presence.write_changes("one", [ana], []).online == [ana]
    assert presence.write_changes("two", [ana], []).online == []
    assert presence.write_changes("one", [], [ana]).offline == []
    assert presence.write_changes("two", [], [ana]).offline == [ana]


@pytest.mark.only("postgresql")
def test_a_user_who_leaves_two_gateways_at_once_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    (ana,) = people("ana")
    for gateway in ("one", "two"):
        presence.write_changes(gateway, [ana], [])
    record_changes, both = presence.record_changes, threading.Barrier(2)

    def record_together(*args: Any) -> Any:
        recorded = record_changes(*args)
        both.wait(LIMIT_S)
        return recorded

    monkeypatch.setattr(presence, "record_changes", record_together)
    with ThreadPoolExecutor(2) as threads:
        ended = [threads.submit(presence.write_changes, gateway, [], [ana]) for gateway in ("one", "two")]
        assert [ana] in [each.result(LIMIT_S).offline for each in ended]
        list(threads.map(lambda _: (both.wait(LIMIT_S), disconnect()), range(2)))


@pytest.mark.only("postgresql")
def test_a_dead_gateway_is_removed_once_and_no_other_gateway_waits() -> None:
    (ana,) = people("ana")
    presence.write_changes("dead", [ana], [])
    expire("dead")
    with ThreadPoolExecutor(1) as other_thread:
        with event.transaction(appends=False) as tx:
            assert presence.record_changes(tx, "one", [], []) == ([ana], True)
            other = other_thread.submit(presence.write_changes, "two", [], [])
            assert other.result(LIMIT_S).offline == []
        other_thread.submit(disconnect).result()
    assert rows("SELECT count(*) FROM visits")[0][0] == 1


def test_a_lease_that_was_written_while_a_clock_was_ahead_is_over() -> None:
    (ana,) = people("ana")
    with event.transaction() as tx:
        presence.record_changes(tx, "ahead", [ana], [])
        execute("UPDATE leases SET until_ms=?", (engine().now_ms() + 3_600_000,))
    assert presence.online_now([ana]) == set()
    assert presence.write_changes("another", [], []).offline == [ana]


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_lease_is_compared_with_the_clock_of_the_store(hours: int) -> None:
    (ana,) = people("ana")
    with time_machine.travel(timedelta(hours=hours)), event.transaction() as tx:
        presence.record_changes(tx, "another host", [ana], [])
    assert presence.online_now([ana]) == {ana}
    with time_machine.travel(timedelta(hours=-hours)):
        assert presence.write_changes("a third host", [], []).offline == []
