"""Every background loop of a gateway survives an exception at each of its calls, counts it, and works afterwards."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from conf import Settings
from gateway import background as background_module
from gateway import server as server_module
from gateway.background import Background
from gateway.commit import committer as committer_module
from gateway.commit.committer import Committer
from gateway.delivery import listeners as listeners_module
from gateway.delivery import tail as tail_module
from gateway.delivery.listeners import BusListener
from gateway.delivery.tail import Tail
from jobs import gauges, tasks
from jobs.infra import publisher as publisher_module
from jobs.infra.publisher import Publisher
from metrics import declared
from models.log import event
from models.ops import worker
from models.store.database import disconnect, engine
from tests.journeys.core import Core
from tests.models.people import people
from tests.waiting import until, until_async

pytestmark = pytest.mark.usefixtures("store")


class Defect(Exception):
    """An error that no code expects."""


class Failing:
    """Stands in front of a function and raises the first times that it is called; `called` counts all calls."""

    def __init__(self, function: Callable[..., Any], times: int = 1) -> None:
        self.function = function
        self.left = times
        self.called = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.called += 1
        if self.left:
            self.left -= 1
            raise Defect
        return self.function(*args, **kwargs)


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Failing]:
    """Make a function of a module or class raise once."""

    def replace(owner: Any, name: str, times: int = 1) -> Failing:
        failing = Failing(getattr(owner, name), times)
        monkeypatch.setattr(owner, name, failing if isinstance(owner, type(tasks)) else lambda *a, **k: failing(*a, **k))
        return failing

    return replace


def failures(name: str) -> float:
    return REGISTRY.get_sample_value("bellwire_failures_total", {"what": name}) or 0.0


COMMITTER_CALLS: list[tuple[Any, str]] = [
    (committer_module, "disconnect"),
    (committer_module, "groups_of"),
    (committer_module, "post_together"),
    (committer_module, "log_failures"),
    (committer_module.token, "load_actors"),
    (committer_module.event, "transaction"),
    (Committer, "_next_batch"),
    (Committer, "_read_foreign_events"),
    (Committer, "_update_cache"),
    (Committer, "_record"),
    (Committer, "_reconnect"),
    (declared.COMMIT_SECONDS, "observe"),
]


@pytest.mark.parametrize(("owner", "name"), COMMITTER_CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_committer_survives(fail: Callable[..., Failing], owner: Any, name: str) -> None:
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            await core.send(ana, to=ben)
            failing = fail(owner, name)
            if name in ("disconnect", "_reconnect"):
                fail(committer_module.token, "load_actors")  # after which it connects again
            elif name == "_next_batch":
                core.committer._queue.put([])  # it waits in the real one
            for _ in range(100):
                try:
                    await core.send(ana, to=ben)
                except Exception:
                    await asyncio.sleep(0.01)
                if failing.called and not failing.left:
                    break
            assert failing.called > 0
            for _ in range(100):
                try:
                    await core.send(ana, to=ben)
                    break
                except Exception:
                    await asyncio.sleep(0.05)
            else:
                pytest.fail("no send succeeds any more")
            assert not core.committer._unanswered

    asyncio.run(scenario())


def test_a_listener_that_raises_after_the_commit_does_not_make_it_look_failed(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben = people("ana", "ben")

    def raises(*_: object) -> None:
        raise Defect

    monkeypatch.setattr(event, "on_append", [raises])

    async def scenario() -> None:
        async with Core() as core:
            assert (await core.send(ana, to=ben)).created
            monkeypatch.setattr(core.committer, "_on_commit", raises)
            assert (await core.send(ana, to=ben)).created
            assert not core.committer._unanswered

    asyncio.run(scenario())
    with event.transaction() as tx:
        tx.append("user:1", "read.updated", b"{}")


@pytest.mark.parametrize("name", ["version", "_read_on", "read_after"])
def test_the_tail_survives(fail: Callable[..., Failing], name: str) -> None:
    owner = {"version": type(engine()), "_read_on": Tail, "read_after": tail_module.event}[name]
    people("ana")

    async def scenario() -> None:
        async with Core(with_tail=True) as core:
            before = failures("tail")
            failing = fail(owner, name)
            await until_async(lambda: failing.called > 1 or core._tail.check())  # type: ignore[union-attr, func-returns-value]
            await asyncio.to_thread(append)
            await until_async(lambda: core.hub.head == event.head())
            await until_async(lambda: not core._tail.failing)  # type: ignore[union-attr]
            assert failures("tail") > before

    asyncio.run(scenario())


def test_the_tail_reads_on_although_maintenance_fails_as_on_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[..., Failing]
) -> None:
    monkeypatch.setattr(tail_module, "MAINTENANCE_EVERY_S", 0.0)
    people("ana")

    async def scenario() -> None:
        async with Core(with_tail=True) as core:
            before, tail_before = failures("maintenance"), failures("tail")
            failing = fail(type(engine()), "run_maintenance", times=3)
            for _ in range(3):
                await asyncio.to_thread(append)
                await until_async(lambda: core.hub.head == event.head())
                assert not core._tail.failing  # type: ignore[union-attr]
            await until_async(lambda: failing.called > 3 or core._tail.check())  # type: ignore[union-attr, func-returns-value]
            await until_async(lambda: not core._tail._maintenance.ongoing)  # type: ignore[union-attr]
            assert (failures("maintenance"), failures("tail")) == (before + 3, tail_before)

    asyncio.run(scenario())


def append() -> None:
    with event.transaction() as tx:
        tx.append("user:1", "read.updated", b"{}")
    disconnect()


class _Listener(BusListener):
    """A listener whose connection breaks as often as the test says."""

    broken = 1

    def _listen(self) -> None:
        if self.broken:
            self.broken -= 1
            raise Defect
        self._connected()
        self._stopping.wait()


def test_the_listener_survives_each_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners_module, "RECONNECT_S", 0.01)
    before = failures("bus_listener")
    check_log = Failing(lambda: None)
    listener = _Listener(check_log, lambda: 0)
    listener.start()
    until(lambda: check_log.called == 2 and not listener.down)
    listener.stop()
    assert failures("bus_listener") == before + 2


def test_the_publisher_survives_any_error(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., Failing]) -> None:
    monkeypatch.setattr(publisher_module, "RETRY_S", 0.01)
    publisher = Publisher("redis://127.0.0.1:1", "epoch")
    monkeypatch.setattr(Publisher, "_publish", lambda self, published: published)
    failing = fail(Publisher, "_publish")
    before = failures("bus")
    publisher.start()
    publisher.hint(1)
    until(lambda: failing.called > 1 and not publisher.down)
    publisher.stop()
    assert failures("bus") == before + 1


BACKGROUND_CALLS = [
    (tasks, "request"),
    (tasks, "run_pending"),
    (gauges, "measure_disk"),
    (background_module, "consumers_to_run"),
    (gauges, "measure_store"),
    (gauges, "measure_queue"),
    (worker, "all_workers"),
]


@pytest.mark.parametrize(("owner", "name"), BACKGROUND_CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_background_thread_survives(
    store: Settings, fail: Callable[..., Failing], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    monkeypatch.setattr(gauges, "MEASURE_INTERVAL_S", 0.0)
    monkeypatch.setattr(background_module, "SPACING_S", 0.01)
    monkeypatch.setattr(background_module, "IDLE_S", 0.01)
    background = Background(store)
    if name == "run_pending":
        fail(tasks, "request")  # so that this thread drains
    failing = fail(owner, name)
    measured = fail(gauges, "measure_store", times=0) if name != "measure_store" else failing
    before = failures("queue") + failures("background") + failures("gauges")
    background.start()
    background.wake()
    until(lambda: failing.called and measured.called > 1)
    assert failures("queue") + failures("background") + failures("gauges") > before
    assert background.is_alive()
    until(lambda: background.wake() or not background.degraded)  # type: ignore[func-returns-value]
    background.stop()
    tasks.huey.storage.close()


def test_no_worker_for_a_while_and_a_relay_that_is_down_are_noticed(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "WORKER_GONE_S", -1.0)
    background = Background(store)
    background._check_workers()
    assert (background.without_worker, background.mail_fails) == (True, False)
    monkeypatch.setattr(background_module, "WORKER_GONE_S", 15.0)
    with event.transaction() as tx:
        worker.record(tx, "one", tx.now_ms, [worker.Busy(tasks.RELAY_DOWN, tx.now_ms)])
    background._check_workers()
    assert (background.without_worker, background.mail_fails) == (False, True)


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("name", ["sweep", "drop_idle", "close_overdue", "collect_uses", "write"])
def test_the_tick_survives(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(server_module, "TICK_S", 0.001)
    monkeypatch.setattr(server_module, "RECORD_USES_TICKS", 1)
    names = ("sweep", "drop_idle", "close_overdue", "collect_uses", "write")
    calls = {each: Failing(lambda: None, times=each == name) for each in names}

    class Part:  # of the services: what the tick calls, and nothing else
        sweep, drop_idle = calls["sweep"], calls["drop_idle"]
        close_overdue, collect_uses, write = calls["close_overdue"], calls["collect_uses"], calls["write"]

        @staticmethod
        def record(*_: object) -> None:
            """Write nothing."""

    class Services:
        presence = hub = tokens = login_failures = recorder = Part

    async def scenario() -> None:
        before = failures("tick")
        ticking = asyncio.ensure_future(server_module._tick(Services, Part))  # type: ignore[arg-type]
        await until_async(lambda: all(call.called > 2 for call in calls.values()))
        assert not ticking.done()
        ticking.cancel()
        assert failures("tick") == before + 1

    asyncio.run(scenario())
