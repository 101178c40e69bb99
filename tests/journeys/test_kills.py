"""Processes are killed again and again under load; the promises of the contract are kept."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from models.log.event import user_stream
from models.notices import notification
from models.notices.message_counts import MAX_COUNTED
from models.store.database import rows
from tests.journeys.clients import PickyPoller, Poller, Sender, Socket, Streamer, Wanderer, reading
from tests.journeys.cluster import Cluster, drained, rounds, seed
from tests.models.people import group
from tests.stores import json_number
from tests.waiting import until, until_async


def check_messages(senders: Sequence[Sender]) -> None:
    """Check that each answered message is stored once and unchanged, and that no other message is."""
    found = {client_id: (i, body) for i, client_id, body in rows("SELECT id, client_id, body FROM messages")}
    assert len(found) == rows("SELECT count(*) FROM messages")[0][0]
    answered = {client_id: message for sender in senders for client_id, message in sender.sent.items()}
    assert found == answered
    appended = Counter(int(i) for (i,) in rows(f"SELECT {json_number('data', 'id')} FROM events WHERE type='message.created'"))
    assert appended == Counter(i for i, _ in answered.values())


def check_background(sleeper: int) -> None:
    """Check that each message was recorded once, and notified once to a member of all conversations who is never online."""
    sent = [i for (i,) in rows("SELECT id FROM messages ORDER BY id")]
    expected = rows("SELECT count(*), max(id) FROM messages GROUP BY conversation_id ORDER BY 2")
    upto = rows("SELECT upto_message FROM notifications WHERE user_id=? ORDER BY 1", (sleeper,))
    assert upto == [(newest,) for _, newest in expected], "all were told, in one notification for each conversation"
    shown = notification.list_page(sleeper, None, None, 10, unread_only=True)
    assert sorted(one["count"] for one in shown) == sorted(min(count, MAX_COUNTED) for count, _ in expected)
    created = rows("SELECT count(*) FROM events WHERE stream=? AND type='notification.created'", (user_stream(sleeper),))
    assert created == [(len(expected),)]
    recorded = rows(f"SELECT {json_number('metadata', 'message')} FROM activities WHERE action='message.sent' ORDER BY 1")
    assert [i for (i,) in recorded] == sent
    assert rows("SELECT count(*) FROM dead_work") == [(0,)]


def test_nothing_is_lost_or_doubled_while_gateway_and_worker_are_killed(cluster: Cluster) -> None:
    chance = random.Random(seed())
    ana, ben, cy, sleeper = cluster.people("ana", "ben", "cy", "sleeper")
    crew = group(ana, ben, cy, sleeper)
    targets: list[dict[str, int]] = [{"conversation": crew}, {"to": sleeper}]
    port = cluster.start_gateway()
    worker = cluster.start_worker()
    kills = rounds(3)

    async def scenario() -> list[Sender]:
        nonlocal worker
        senders = [Sender(cluster, user, targets, chance, f"{user}-{n}") for user in (ana, ben, cy) for n in range(2)]
        readers = [kind(cluster, user, chance) for user in (ana, cy) for kind in (Poller, PickyPoller, Streamer, Socket, Wanderer)]
        stopped = False

        def answered() -> int:
            return sum(len(sender.sent) for sender in senders)

        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: stopped))
            for number in range(kills):
                target = answered() + chance.randint(10, 60)
                await until_async(lambda target=target: answered() >= target)
                if number % 3 == 2:
                    worker.kill()
                    worker.wait()
                    worker = cluster.start_worker()
                else:
                    cluster.kill_gateway(port)
                    await asyncio.to_thread(cluster.start_gateway, port)
            target = answered() + 30
            await until_async(lambda: answered() >= target)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    until(drained)
    check_background(sleeper)
