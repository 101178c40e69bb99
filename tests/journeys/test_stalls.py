"""Processes that stand still, in the middle of a transaction too: sends wait or are refused, and nothing is lost."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.journeys.clients import Poller, Sender, reading
from tests.journeys.core import until
from tests.journeys.house import House, drained, rounds, seed, until_now
from tests.journeys.test_kills import check_background, check_messages
from tests.models.people import group

HOLDER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
other.execute("UPDATE facts SET value=value")
print("held", flush=True)
sys.stdin.readline()
other.execute("COMMIT")
"""


@pytest.mark.only("sqlite")  # PostgreSQL throws such a holder out
def test_a_lock_held_for_longer_than_sends_wait_costs_no_message(house: House, tmp_path: Path) -> None:
    chance = random.Random(seed())
    ana, ben = house.people("ana", "ben")
    house.start_gateway()
    script = tmp_path / "holder.py"
    script.write_text(HOLDER)

    async def scenario() -> list[Sender]:
        senders = [Sender(house, ana, [{"to": ben}], chance, f"s{n}") for n in range(5)]
        stopped = False
        async with reading(Poller(house, ben, chance)), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.go_on(lambda: stopped))
            await until(lambda: sum(len(sender.sent) for sender in senders) > 50)
            holder = house.run(script, house.settings.sqlite_path, port=0)
            await until(lambda: "held" in house.logged())
            before = sum(len(sender.sent) for sender in senders)
            await until(lambda: all(sender.unavailable for sender in senders))  # after as long as the gateway tries
            assert sum(len(sender.sent) for sender in senders) <= before + len(senders), "answered although nothing can be written"
            assert holder.stdin is not None
            holder.stdin.write(b"\n")
            holder.stdin.flush()
            await until(lambda: sum(len(sender.sent) for sender in senders) > before + 50)
            stopped = True
        return senders

    check_messages(asyncio.run(scenario()))


def test_a_worker_that_stands_still_now_and_then_loses_nothing(house: House) -> None:
    """It may be stopped while it holds the write lock, or between the transactions of a slice."""
    chance = random.Random(seed())
    ana, ben, sleeper = house.people("ana", "ben", "sleeper")
    crew = group(ana, ben, sleeper)
    house.start_gateway()
    worker = house.start_worker()

    async def scenario() -> list[Sender]:
        senders = [Sender(house, user, [{"conversation": crew}], chance) for user in (ana, ben)]
        stopped = False

        def progress() -> int:
            return sum(len(sender.sent) + sender.unavailable for sender in senders)

        async with reading(Poller(house, ben, chance)), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.go_on(lambda: stopped))
            for _ in range(rounds(12)):
                before = progress()
                await until(lambda before=before: progress() > before + chance.randint(0, 5))
                worker.send_signal(signal.SIGSTOP)
                before = progress()
                await asyncio.wait([asyncio.ensure_future(until(lambda before=before: progress() > before + 5))], timeout=0.3)
                worker.send_signal(signal.SIGCONT)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until_now(drained)
    check_background(sleeper)
