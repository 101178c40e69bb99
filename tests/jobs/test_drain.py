import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import peewee
import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import drain as draining
from jobs.activity import Activities
from jobs.consumer import Written
from jobs.drain import drain
from jobs.notify import CAUSES_A_TRANSACTION, Notify
from models import checkpoint, event
from models.event import Event, Log
from tests.jobs.people import group, people, scalar, send

ROOT = Path(__file__).parents[2]


class Poisoned(Activities):
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
    assert drain(consumer(), events_a_slice=3).rows == 7
    assert drain(consumer(), events_a_slice=3).rows == 0
    assert scalar("SELECT count(*) FROM activities") == 7


def test_a_poison_event_is_found_parked_and_passed(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    messages = send(ana, 50, to=ben)
    poisoned = consumer()
    poisoned.poison = poisoned_event(messages[20])
    dead = REGISTRY.get_sample_value("bellwire_dead_events_total", {"consumer": "activity"}) or 0
    assert drain(poisoned).more is False
    assert scalar("SELECT count(*) FROM activities") == 49
    [parked] = checkpoint.dead_events(10)
    assert (parked["event"], parked["error"]) == (poisoned.poison, "ValueError: can't be done")
    assert REGISTRY.get_sample_value("bellwire_dead_events_total", {"consumer": "activity"}) == dead + 1


def test_an_admins_retry_does_a_parked_event_once(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    poisoned = consumer()
    poisoned.poison = poisoned_event(send(ana, 1, to=ben)[0])
    drain(poisoned)
    [parked] = checkpoint.dead_events(10)
    with event.transaction() as log:
        checkpoint.ask_retry(log, parked["id"])
    drain(poisoned)
    assert [d["retrying"] for d in checkpoint.dead_events(10)] == [False], "it failed again, and waits for another asking"
    with event.transaction() as log:
        checkpoint.ask_retry(log, parked["id"])
    poisoned.poison = None
    drain(poisoned)
    drain(poisoned)
    assert checkpoint.dead_events(10) == []
    assert scalar("SELECT count(*) FROM activities") == 1


def test_a_drain_that_was_overtaken_writes_nothing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 5, to=ben)

    class Overtaken(Poisoned):
        def prepare(self, events: Sequence[Event]) -> object:
            parts = super().prepare(events)
            drain(consumer())
            return parts

    result = drain(Overtaken({}))
    assert (result.lost, result.rows) == (True, 0)
    assert scalar("SELECT count(*) FROM activities") == 5


def test_the_stores_failure_is_raised_and_parks_nothing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 5, to=ben)

    class Full(Poisoned):
        def write(self, log: object, part: object) -> object:
            raise peewee.OperationalError("database or disk is full")

    with pytest.raises(peewee.OperationalError):
        drain(Full({}))
    assert checkpoint.dead_events(10) == []
    assert drain(consumer()).rows == 5


def test_a_long_stretch_that_nobody_wants_moves_the_checkpoint_at_once(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    drain(consumer())
    with event.transaction() as log:
        for _ in range(draining.SKIP_EVENTS):
            log.append("user:1", "read.updated", b"{}")
    drain(consumer(), events_a_slice=10)
    assert checkpoint.position("activity") == event.head()


def test_what_drains_append_is_drained_by_none(store: Settings) -> None:
    from jobs import tasks

    assert all(not kind.startswith("notification.") for c in tasks.consumers.values() for kind in c.types)


def test_a_stop_leaves_the_rest_for_the_next_run(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 10, to=ben)
    asked = iter([False, False, True])
    result = drain(consumer(), lambda: next(asked), events_a_slice=2)
    assert (result.events, result.more) == (4, True)
    assert drain(consumer()).events == 6


KILLED = """
import os, signal, sys
from pathlib import Path
import models
from conf import Settings
from jobs import tasks
from models import database, event

settings = Settings(data_dir=Path(sys.argv[1]))
models.connect(settings)
tasks.bind(settings)
left, real = int(sys.argv[3]), event.execute

def execute(sql, params=()):
    global left
    if sql == "COMMIT":
        left -= 1
        if left == 0:
            if sys.argv[4] == "after":
                real(sql, params)
            os.kill(os.getpid(), signal.SIGKILL)
    return real(sql, params)

event.execute = execute
tasks.drain_log(tasks.consumers[sys.argv[2]], events_a_slice=40)
"""


def killed_at(store: Settings, name: str, commit: int, when: str) -> None:
    """Drains in another process that is killed at one of its commits."""
    command = [sys.executable, "-c", KILLED, str(store.data_dir), name, str(commit), when]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr.decode()


@pytest.mark.parametrize("name", ["activity", "notify", "search"])
def test_a_kill_at_any_commit_neither_loses_nor_doubles(store: Settings, name: str) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 400, to=ben)
    for when in ("before", "after", "before"):
        killed_at(store, name, random.randint(2, 4), when)
    from jobs import tasks

    drain(tasks.consumers[name])
    counted = {
        "activity": "SELECT count(*) FROM activities",
        "notify": "SELECT sum(count) FROM notifications",
        "search": "SELECT count(*) FROM message_search",
    }
    assert scalar(counted[name]) == 400


def test_a_group_message_cut_between_its_transactions_is_exact(store: Settings) -> None:
    ana, *others = people("ana", *[f"user{n}" for n in range(450)])
    crew = group(ana, others)
    send(ana, 1, at=crew)
    killed_at(store, "notify", 3, "after")  # the first made the checkpoint, the next two wrote receivers
    assert scalar("SELECT sum(count) FROM notifications") == 2 * CAUSES_A_TRANSACTION < 450
    assert drain(Notify()).more is False
    assert scalar("SELECT count(DISTINCT user_id) FROM notifications WHERE count=1") == 450
    assert scalar("SELECT count(*) FROM notifications") == 450
    assert scalar("SELECT count(*) FROM events WHERE type='notification.created'") == 450


@pytest.mark.parametrize(("appends", "inside"), [(False, 1), (True, 2)])
def test_only_what_clients_may_see_waits_for_the_disk(store: Settings, appends: bool, inside: int) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 1, to=ben)
    seen = []

    class Curious(Activities):
        def write(self, log: Log, part: list[tuple[object, ...]]) -> Written:
            seen.append(scalar("PRAGMA synchronous"))
            return super().write(log, part)

    Curious.appends = appends
    drain(Curious({}))
    assert seen == [inside]
    assert scalar("PRAGMA synchronous") == 2
