import math
import os
import random
import subprocess
from collections.abc import Sequence

import peewee
import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import tasks
from jobs.consumers.activity import ActivityBatch, ActivityConsumer
from jobs.consumers.notify import CAUSES_PER_TRANSACTION, NotifyConsumer
from jobs.drain import drain as draining
from jobs.drain.consumer import Written
from jobs.drain.drain import drain
from models.chat import message
from models.chat.drafts import Draft
from models.log import checkpoint, event
from models.log.event import Event, Transaction
from models.ops import dead_letters
from models.store.database import execute
from tests.jobs.killing import drains, killed_at
from tests.jobs.people import group, people, scalar, send
from tests.models.stored_files import store_file
from tests.python import Python
from tests.stores import environment, named
from tests.waiting import LIMIT_S


class Poisoned(ActivityConsumer):
    """Fails on one event, as long as it is poisoned."""

    poison: int | None = None

    def prepare(self, events: Sequence[Event]) -> object:
        if any(e.id == self.poison for e in events):
            raise ValueError("can't be done")
        return super().prepare(events)


def consumer() -> Poisoned:
    return Poisoned({})


def poisoned_event(message: int) -> int:
    return int(str(scalar("SELECT event FROM messages WHERE id=?", message)))


def test_a_second_run_finds_nothing_left(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 7, to=ben)
    assert drain(consumer(), events_per_slice=3).rows == 7
    assert drain(consumer(), events_per_slice=3).rows == 0
    assert scalar("SELECT count(*) FROM activities") == 7


def test_an_event_that_fails_is_found_and_parked_and_the_others_go_on(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    messages = send(ana, 50, to=ben)
    poisoned = consumer()
    poisoned.poison = poisoned_event(messages[20])
    dead = REGISTRY.get_sample_value("bellwire_dead_events_total", {"consumer": "activity"}) or 0
    assert drain(poisoned).has_more is False
    assert scalar("SELECT count(*) FROM activities") == 49
    [parked] = dead_letters.newest(10)
    assert (parked["event"], parked["error"]) == (poisoned.poison, "ValueError: can't be done")
    assert REGISTRY.get_sample_value("bellwire_dead_events_total", {"consumer": "activity"}) == dead + 1


def test_a_retry_processes_a_parked_event_once(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    poisoned = consumer()
    poisoned.poison = poisoned_event(send(ana, 1, to=ben)[0])
    drain(poisoned)
    [parked] = dead_letters.newest(10)
    with event.transaction() as tx:
        dead_letters.request_retry(tx, parked["id"])
    drain(poisoned)
    assert [d["retrying"] for d in dead_letters.newest(10)] == [False], "it failed again, and waits for another request"
    with event.transaction() as tx:
        dead_letters.request_retry(tx, parked["id"])
    poisoned.poison = None
    drain(poisoned)
    drain(poisoned)
    assert dead_letters.newest(10) == []
    assert scalar("SELECT count(*) FROM activities") == 1


def test_an_overtaken_drain_writes_nothing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 5, to=ben)

    class Overtaken(Poisoned):
        def prepare(self, events: Sequence[Event]) -> object:
            parts = super().prepare(events)
            drain(consumer())
            return parts

    result = drain(Overtaken({}))
    assert (result.overtaken, result.rows) == (True, 0)
    assert scalar("SELECT count(*) FROM activities") == 5


def test_an_error_of_the_store_is_raised_and_parks_nothing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 5, to=ben)

    class Full(Poisoned):
        def write(self, tx: object, part: object) -> object:
            raise peewee.OperationalError("database or disk is full")

    with pytest.raises(peewee.OperationalError):
        drain(Full({}))
    assert dead_letters.newest(10) == []
    assert drain(consumer()).rows == 5


def test_many_events_of_other_types_move_the_checkpoint(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    drain(consumer())
    append_skipped()
    drain(consumer(), events_per_slice=10)
    assert set(checkpoint.positions(consumer().parts()).values()) == {event.head()}


def append_skipped() -> None:
    """Append as many events that no consumer reads as make checkpoints move past them."""
    with event.transaction() as tx:
        for _ in range(draining.MAX_SKIPPED_EVENTS):
            tx.append("user:1", "read.updated", b"{}")


def test_consumers_that_have_nothing_to_do_move_past_events_together(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    append_skipped()
    tasks.run_pending()  # creates the checkpoints
    idle = {name for name, each in tasks.consumers.items() if "message.created" not in each.types and not each.min_interval_ms}
    send(ana, 1, to=ben)
    append_skipped()
    run: list[str] = []
    monkeypatch.setattr(tasks, "_run_reported", lambda name, _: run.append(name))
    tasks.run_pending()
    positions = {name: {at for at, _ in parts.values()} for name, parts in checkpoint.all_positions().items()}
    moved = {name for name, each in positions.items() if each == {event.head()}}
    assert run
    assert not idle.intersection(run)
    assert idle <= moved
    assert not moved.intersection(run)


def test_a_checkpoint_that_moved_meanwhile_is_not_passed_over(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    parts = consumer().parts()
    with event.transaction() as tx:
        checkpoint.ensure(tx, parts)
        checkpoint.advance(tx, {parts[0]: 0}, 2)
        checkpoint.pass_over(tx, dict.fromkeys(parts, 1), event.head())
    assert checkpoint.positions(parts) == {**dict.fromkeys(parts, 0), parts[0]: 2}


def test_a_run_says_whether_its_events_are_about_files_to_be_processed(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    assert not drain(consumer()).pictures
    picture = store_file(None, ana, name="a.png")
    execute("UPDATE files SET state='pending' WHERE id=?", (picture,))
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, '"state":"pending"', to=ben)])
    assert not drain(consumer()).pictures
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "", to=ben, files=[picture])])
    assert drain(consumer()).pictures


def test_no_consumer_reads_what_drains_append(store: Settings) -> None:
    assert all(not kind.startswith("notification.") for c in tasks.consumers.values() for kind in c.types)


def test_a_stop_leaves_the_rest_for_the_next_run(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    drain(consumer())
    send(ana, 10, to=ben)
    result = drain(consumer(), lambda: scalar("SELECT count(*) FROM activities") == 4, events_per_slice=2)
    assert (result.events, result.has_more) == (4, True)
    assert drain(consumer()).events == 6


@pytest.mark.parametrize("name", ["activity", "notify", "search"])
def test_a_kill_at_any_commit_neither_loses_nor_doubles(store: Settings, name: str) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 400, to=ben)
    for when in ("before", "after"):
        killed_at(store, drains(name), random.randint(2, 4), when)
    drain(tasks.consumers[name])
    counted = {
        "activity": "SELECT count(*) FROM activities",
        "notify": "SELECT sum(count) FROM notifications",
        "search": "SELECT count(*) FROM message_search",
    }
    assert scalar(counted[name]) == 400
    assert name != "activity" or scalar("SELECT sum(count) FROM activity_hourly WHERE action='message.sent'") == 400


def test_a_slice_cut_between_its_transactions_is_exact(store: Settings) -> None:
    ana, *others = people("ana", *[f"user{n}" for n in range(45)])
    crew = group(ana, others)
    drain(NotifyConsumer())
    send(ana, 10, at=crew)
    killed_at(store, drains("notify"), 2, "after")
    reached = math.ceil(2 * CAUSES_PER_TRANSACTION / 10)
    assert scalar("SELECT sum(count) FROM notifications") == 10 * reached < 450
    assert drain(NotifyConsumer()).has_more is False
    assert scalar("SELECT count(DISTINCT user_id) FROM notifications WHERE count=10") == 45
    assert scalar("SELECT count(*) FROM notifications") == 45
    assert scalar("SELECT count(*) FROM events WHERE type='notification.created'") == 45
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'notification.%'") < 100, "one event for each member and transaction"


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(("appends", "inside"), [(False, 1), (True, 2)])
def test_only_appended_events_wait_for_the_disk(store: Settings, appends: bool, inside: int) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    seen = []

    class Curious(ActivityConsumer):
        def write(self, tx: Transaction, batch: ActivityBatch) -> Written:
            seen.append(scalar("PRAGMA synchronous"))
            return super().write(tx, batch)

    Curious.appends_events = appends
    drain(Curious({}))
    assert seen == [inside]
    with event.transaction():
        assert scalar("PRAGMA synchronous") == 2


SHARED = """
import sys
from models.store.database import connect
from conf import load
from jobs import tasks

settings = load()
connect(settings)
tasks.bind(settings)
print("ready", flush=True)
sys.stdin.readline()
print(tasks.drain_log(tasks.consumers[sys.argv[1]], events_per_slice=20).events)
"""


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("name", ["activity", "notify", "search"])
def test_workers_share_a_backlog_and_each_event_is_done_once(store: Settings, name: str) -> None:
    ana, *others = people("ana", *[f"user{n}" for n in range(40)])
    for other in others:
        send(ana, 40, to=other)
    env = {**os.environ, **environment(named(store))}
    command = ["-c", SHARED, name]
    workers = [Python[str](command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    done = [int(worker.communicate(timeout=LIMIT_S)[0].splitlines()[-1]) for worker in workers]
    assert sum(done) == 1600
    assert min(done) > 0, "one worker did nothing"
    assert drain(tasks.consumers[name]).events == 0
    counted = {
        "activity": "SELECT count(*) FROM activities",
        "notify": "SELECT sum(count) FROM notifications",
        "search": "SELECT count(*) FROM message_search",
    }
    assert scalar(counted[name]) == 1600
