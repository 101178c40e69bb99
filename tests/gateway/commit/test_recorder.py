"""Rows that append no events are written beside the committer, a few a transaction."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from conf import Settings
from gateway.commit import recorder as recorder_module
from gateway.commit.recorder import Recorder
from models.identity import token
from models.log import event
from models.store.database import disconnect, execute, rows
from models.store.errors import StoreDownError
from tests.models.people import people
from tests.waiting import LIMIT_S, until


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A recorder, which ends with the test."""
    recorder = Recorder()
    yield recorder
    recorder.close()


def tokens(count: int) -> list[int]:
    (ana,) = people("ana")
    with event.transaction() as tx:
        for _ in range(count):
            token.create(tx, ana)
    return [number for (number,) in rows("SELECT id FROM tokens ORDER BY id")]


def used() -> list[tuple[int, str]]:
    return [(used_ms, address) for used_ms, address in rows("SELECT used_ms, address FROM tokens WHERE used_ms IS NOT NULL")]


def test_uses_are_written_a_few_a_transaction(store: Settings, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_ROWS_PER_TRANSACTION", 10)
    parts: list[int] = []

    def write(part: list[tuple[int, int, str]]) -> None:
        parts.append(len(part))
        token.mark_used(part)

    recorder.record(write, [(number, 7, "203.0.113.1") for number in tokens(25)])
    until(lambda: len(used()) == 25)
    assert parts == [10, 10, 5]


def test_a_caller_does_not_wait_for_thousands_of_items(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway whose lease is not renewed in time counts as dead."""
    monkeypatch.setattr(recorder_module, "MAX_ROWS_PER_TRANSACTION", 1)
    order: list[str] = []
    first_is_written, lease_waits = threading.Event(), threading.Event()

    def write(part: list[str]) -> None:
        order.extend(part)
        first_is_written.set()
        assert lease_waits.wait(LIMIT_S)

    async def scenario() -> None:
        recorder.record(write, ["use 1", "use 2", "use 3"])
        await asyncio.to_thread(first_is_written.wait, 60)
        renewing = asyncio.ensure_future(recorder.call(lambda: order.append("lease")))
        await asyncio.sleep(0)  # the call is queued
        lease_waits.set()
        await renewing

    asyncio.run(scenario())
    until(lambda: order == ["use 1", "lease", "use 2", "use 3"])


def test_a_recorder_that_is_closed_drops_what_it_can_not_write_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_S", -1.0)
    before = set(threading.enumerate())
    recorder = Recorder()
    written: list[int] = []
    is_closed = threading.Event()
    recorder.record(lambda _: is_closed.wait(LIMIT_S), [0])
    recorder.record(written.extend, [1, 2])
    recorder.close()
    is_closed.set()
    until(lambda: not any(thread.is_alive() for thread in set(threading.enumerate()) - before))
    assert written == []


def test_a_use_never_goes_back_and_a_token_that_ended_is_left_out(store: Settings) -> None:
    first, second = tokens(2)
    token.mark_used([(first, 20, "203.0.113.1"), (second, 20, "203.0.113.1")])
    execute("DELETE FROM tokens WHERE id=?", (second,))
    token.mark_used([(first, 10, "203.0.113.2"), (second, 30, "203.0.113.2")])
    assert used() == [(20, "203.0.113.1")]


@pytest.mark.only("postgresql")
def test_uses_are_written_while_another_transaction_has_the_logs_lock_and_a_token(store: Settings, recorder: Recorder) -> None:
    first, second = tokens(2)
    written: list[int] = []

    def write(part: list[tuple[int, int, str]]) -> None:
        token.mark_used(part)
        written.append(len(part))

    with event.transaction():
        execute("UPDATE tokens SET poll_acked=5 WHERE id=?", (first,))
        recorder.record(write, [(first, 7, ""), (second, 7, "")])
        until(lambda: bool(written))
        assert [number for (number,) in rows("SELECT id FROM tokens WHERE used_ms=7")] == [second]


def test_a_failure_of_the_store_ends_neither_the_thread_nor_its_next_write(store: Settings, recorder: Recorder) -> None:
    def fail(_: list[int]) -> None:
        execute("SELECT * FROM no_such_table")

    recorder.record(fail, [1])
    written: list[int] = []
    append: Callable[[list[int]], None] = written.extend
    recorder.record(append, [2])
    until(lambda: written == [2])
    disconnect()


def test_a_caller_learns_that_the_store_failed(store: Settings, recorder: Recorder) -> None:
    async def scenario() -> None:
        with pytest.raises(StoreDownError):
            await recorder.call(lambda: execute("SELECT * FROM no_such_table"))
        assert await recorder.call(lambda: rows("SELECT 7")) == [(7,)]

    asyncio.run(scenario())


def test_what_waits_too_long_is_dropped(store: Settings, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 0)
    written: list[int] = []
    recorder.record(written.extend, [1])
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 1)
    recorder.record(written.extend, [2])
    until(lambda: written == [2])
