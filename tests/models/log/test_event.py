"""Appending to the log: transactions, savepoints, ids and intervals."""

import threading

import peewee
import pytest

from conf import Settings
from models.chat import conversation
from models.log import event
from models.log.event import Transaction, TransactionLostError, user_stream
from models.store.database import disconnect, execute, in_transaction, rows
from models.store.sqlite import is_locked
from models.sync import catchup
from tests.models.people import group, people, scalar, send


def test_a_failed_transaction_stores_nothing(store: Settings) -> None:
    (ana,) = people("ana")
    before = event.head()

    def fail(tx: Transaction) -> None:
        conversation.create(tx, ana, [], "Crew")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), event.transaction() as tx:
        fail(tx)
    assert event.head() == before
    assert scalar("SELECT count(*) FROM conversations") == 0
    assert not in_transaction()


def test_a_failed_savepoint_removes_only_its_own_events(store: Settings) -> None:
    def fail(tx: Transaction) -> None:
        tx.append("user:1", "two", b"{}")
        raise ZeroDivisionError

    with event.transaction() as tx:
        tx.append("user:1", "one", b"{}")
        with pytest.raises(ZeroDivisionError), tx.savepoint():
            fail(tx)
        with tx.savepoint():
            tx.append("user:1", "three", b"{}")
    assert rows("SELECT type FROM events ORDER BY id") == [("one",), ("three",)]


def test_a_transaction_that_the_store_rolled_back_is_reported_as_lost(store: Settings) -> None:
    def roll_back(tx: Transaction) -> None:
        tx.append("user:1", "one", b"{}")
        execute("ROLLBACK")

    with pytest.raises(TransactionLostError), event.transaction() as tx:
        roll_back(tx)
    with pytest.raises(TransactionLostError), event.transaction() as tx, tx.savepoint():
        execute("ROLLBACK")
    assert rows("SELECT * FROM events") == []


def test_ids_are_not_used_again_after_the_newest_events_are_deleted(store: Settings) -> None:
    with event.transaction() as tx:
        first = tx.append("user:1", "one", b"{}")
    with event.transaction():
        execute("DELETE FROM events")
        execute("UPDATE facts SET value=? WHERE name='trimmed'", (str(first),))
    assert event.head() == first
    with event.transaction() as tx:
        assert tx.append("user:1", "two", b"{}") == first + 1


def test_threads_that_write_at_the_same_time_get_ids_in_commit_order(store: Settings) -> None:
    seen: list[list[int]] = []
    done = threading.Event()

    def write(name: str) -> None:
        for _ in range(50):
            with event.transaction() as tx:
                tx.append("user:1", name, b"{}")
        disconnect()

    def follow() -> None:
        ids: list[int] = []
        while not (done.is_set() and event.head() == (ids[-1] if ids else 0)):
            ids += [e.id for e in event.read_after(ids[-1] if ids else 0, 7)]
        seen.append(ids)
        disconnect()

    reader = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(f"writer {n}",)) for n in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen == [list(range(1, 201))], "an event became visible after one with a higher id"


@pytest.mark.only("sqlite")
def test_waiting_for_the_lock_is_limited(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.store.sqlite.WRITE_WAIT_S", 0.01)
    errors: list[BaseException] = []

    def try_to_write() -> None:
        try:
            with event.transaction():
                pass
        except peewee.OperationalError as error:
            errors.append(error)
        disconnect()

    with event.transaction():
        other = threading.Thread(target=try_to_write)
        other.start()
        other.join()
    assert [is_locked(error) for error in errors] == [True]


def test_a_member_gets_the_events_from_joining_to_leaving(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana)
    sent = []
    for change in (conversation.add_member, conversation.remove_member) * 2:
        sent.append(send(ana, at=crew))
        with event.transaction() as tx:
            change(tx, ana, crew, ben)
    sent.append(send(ana, at=crew))
    events = catchup.read(ben, 0, None, 100).events
    assert [e.type for e in events] == ["conversation.created", "member.joined", "message.created", "member.left"] * 2
    left = [e for e in events if e.type == "member.left"]
    assert {e.stream for e in left} == {user_stream(ben)}


def test_when_the_last_owner_leaves_the_oldest_member_becomes_owner(store: Settings) -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    crew = group(ana, ben, cy)
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ana)
        assert [conversation.require_member(crew, user) for user in (ben, cy)] == ["owner", "member"]
        conversation.remove_member(tx, ben, crew, ben)
        conversation.remove_member(tx, cy, crew, cy)
    assert scalar("SELECT members_count FROM conversations") == 0


def test_slices_of_any_size_together_have_all_events(store: Settings) -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    crew = group(ana, ben)
    for n in range(30):
        send(ana, at=crew) if n % 3 else send(cy, to=ben)
    complete = catchup.read(ben, 0, None, 1_000)
    assert (complete.more, complete.position) == (False, event.head())
    for limit in (1, 2, 7, len(complete.events) - 1, len(complete.events)):
        events, position, more = [], 0, True
        while more:
            part = catchup.read(ben, position, None, limit)
            events += part.events
            position, more = part.position, part.more
        assert events == complete.events


def test_a_position_past_the_head_or_before_the_kept_events_has_expired(store: Settings) -> None:
    (ana,) = people("ana")
    group(ana)
    assert catchup.read(ana, event.head() + 1, None, 10).expired
    with event.transaction():
        execute("UPDATE facts SET value='1' WHERE name='trimmed'")
    assert catchup.read(ana, 0, None, 10).expired
    assert not catchup.read(ana, 1, None, 10).expired
