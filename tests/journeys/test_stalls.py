"""Stopped processes, also inside a transaction: sends wait or are refused, and nothing is lost."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.journeys.clients import Poller, Sender, reading
from tests.journeys.cluster import Cluster, drained, rounds, seed
from tests.journeys.test_kills import check_background, check_messages
from tests.models.people import group
from tests.waiting import until, until_async

LOCKER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
other.execute("UPDATE facts SET value=value")
print("locked", flush=True)
sys.stdin.readline()
other.execute("COMMIT")
"""


@pytest.mark.only("sqlite")  # PostgreSQL ends such a session
def test_a_lock_that_outlasts_the_wait_of_sends_loses_no_message(cluster: Cluster, tmp_path: Path) -> None:
    chance = random.Random(seed())
    ana, ben = cluster.people("ana", "ben")
    cluster.start_gateway()
    script = tmp_path / "locker.py"
    script.write_text(LOCKER)

    async def scenario() -> list[Sender]:
        senders = [Sender(cluster, ana, [{"to": ben}], chance, f"s{n}") for n in range(5)]
        stopped = False
        async with reading(Poller(cluster, ben, chance)), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: stopped))
            await until_async(lambda: sum(len(sender.sent) for sender in senders) > 50)
            locker = cluster.run(script, cluster.settings.sqlite_path, port=0)
            await until_async(lambda: "locked" in cluster.logged())
            before = sum(len(sender.sent) for sender in senders)
            await until_async(lambda: all(sender.unavailable for sender in senders))  # once the gateway has stopped waiting
            assert sum(len(sender.sent) for sender in senders) <= before + len(senders), "answered though nothing could be written"
            assert locker.stdin is not None
            locker.stdin.write(b"\n")
            locker.stdin.flush()
            await until_async(lambda: sum(len(sender.sent) for sender in senders) > before + 50)
            stopped = True
        return senders

    check_messages(asyncio.run(scenario()))


def test_a_worker_that_is_stopped_now_and_then_loses_nothing(cluster: Cluster) -> None:
    """It may be stopped while it has the write lock, or between the transactions of a slice."""
    chance = random.Random(seed())
    ana, ben, sleeper = cluster.people("ana", "ben", "sleeper")
    crew = group(ana, ben, sleeper)
    cluster.start_gateway()
    worker = cluster.start_worker()

    async def scenario() -> list[Sender]:
        senders = [Sender(cluster, user, [{"conversation": crew}], chance) for user in (ana, ben)]
        stopped = False

        def progress() -> int:
            return sum(len(sender.sent) + sender.unavailable for sender in senders)

        async with reading(Poller(cluster, ben, chance)), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: stopped))
            for _ in range(rounds(8)):
                before = progress()
                await until_async(lambda before=before: progress() > before + chance.randint(0, 5))
                worker.send_signal(signal.SIGSTOP)
                before = progress()
                await asyncio.wait([asyncio.ensure_future(until_async(lambda before=before: progress() > before + 5))], timeout=0.3)
                worker.send_signal(signal.SIGCONT)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until(drained)
    check_background(sleeper)
