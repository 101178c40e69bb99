"""Processes are killed again and again in the middle of load; what the contract promises holds."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from models.store.database import rows
from tests.journeys.clients import PickyPoller, Poller, Sender, Socket, Streamer, Wanderer, reading
from tests.journeys.core import until
from tests.journeys.house import House, drained, rounds, seed, until_now
from tests.models.people import group
from tests.stores import json_number


def check_messages(senders: Sequence[Sender]) -> None:
    """Every message that was answered is on disk once, as it was sent, and none that nobody sent."""
    found = {client_id: (i, body) for i, client_id, body in rows("SELECT id, client_id, body FROM messages")}
    assert len(found) == rows("SELECT count(*) FROM messages")[0][0]
    answered = {client_id: message for sender in senders for client_id, message in sender.sent.items()}
    assert found == answered
    announced = Counter(int(i) for (i,) in rows(f"SELECT {json_number('data', 'id')} FROM events WHERE type='message.created'"))
    assert announced == Counter(i for i, _ in answered.values())


def check_background(sleeper: int) -> None:
    """Somebody in every conversation who never looks was told of each message once, and each was recorded once."""
    sent = [i for (i,) in rows("SELECT id FROM messages ORDER BY id")]
    causes = rows("SELECT cause FROM notification_causes WHERE user_id=?", (sleeper,))
    assert Counter(cause for (cause,) in causes) == Counter(f"message:{i}" for i in sent)
    assert rows("SELECT sum(count) FROM notifications WHERE user_id=?", (sleeper,)) == [(len(sent),)]
    recorded = rows(f"SELECT {json_number('metadata', 'message')} FROM activities WHERE action='message.sent' ORDER BY 1")
    assert [i for (i,) in recorded] == sent
    assert rows("SELECT count(*) FROM dead_work") == [(0,)]


def test_nothing_is_lost_or_doubled_while_gateway_and_worker_are_killed(house: House) -> None:
    chance = random.Random(seed())
    ana, ben, cy, sleeper = house.people("ana", "ben", "cy", "sleeper")
    crew = group(ana, ben, cy, sleeper)
    places: list[dict[str, int]] = [{"conversation": crew}, {"to": sleeper}]
    port = house.start_gateway()
    worker = house.start_worker()
    kills = rounds(4)

    async def scenario() -> list[Sender]:
        nonlocal worker
        senders = [Sender(house, user, places, chance, f"{user}-{n}") for user in (ana, ben, cy) for n in range(2)]
        readers = [kind(house, user, chance) for user in (ana, cy) for kind in (Poller, PickyPoller, Streamer, Socket, Wanderer)]
        stopped = False

        def answered() -> int:
            return sum(len(sender.sent) for sender in senders)

        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.go_on(lambda: stopped))
            for number in range(kills):
                wanted = answered() + chance.randint(10, 60)
                await until(lambda wanted=wanted: answered() >= wanted)
                if number % 3 == 2:
                    worker.kill()
                    worker.wait()
                    worker = house.start_worker()
                else:
                    house.kill_gateway(port)
                    await asyncio.to_thread(house.start_gateway, port)
            wanted = answered() + 30
            await until(lambda: answered() >= wanted)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until_now(drained)
    check_background(sleeper)
