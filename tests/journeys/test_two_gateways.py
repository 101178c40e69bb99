"""Two gateways write to one store while members join and leave; readers change gateways between polls."""

import asyncio
import random
from typing import Any

from models.store.database import rows
from tests.journeys.clients import Link, PickyPoller, Poller, Reader, Sender, Socket, Streamer, Wanderer, reading
from tests.journeys.cluster import Cluster, rounds, seed
from tests.journeys.test_kills import check_messages
from tests.models.people import group
from tests.stores import json_number
from tests.waiting import until


class Owner:
    """Adds and removes members of a group, each time on a random gateway."""

    def __init__(self, cluster: Cluster, user: int, crew: int, others: list[int], chance: random.Random) -> None:
        self._cluster = cluster
        self._links = {port: Link(port, cluster.token[user]) for port in cluster.ports}
        self._crew = crew
        self._members = set(others)
        self._others = others
        self._chance = chance
        self.changes = 0

    async def change(self) -> None:
        """Add or remove one member."""
        link = self._links[self._chance.choice(self._cluster.ports)]
        member = self._chance.choice(self._others)
        method = "DELETE" if member in self._members else "PUT"
        answer = await link.call(method, f"/api/v1/conversations/{self._crew}/members/{member}")
        assert answer.status == 204, answer
        self._members ^= {member}
        self.changes += 1

    async def change_until(self, count: int) -> None:
        """Repeat until `count` changes are made."""
        while self.changes < count:
            await self.change()


def check_intervals(cluster: Cluster) -> None:
    """Check the stored memberships, on which `visible` relies, against the events about joining and leaving."""
    found: dict[tuple[int, int], list[list[int | None]]] = {}
    for i, stream, kind, conversation in rows(
        f"SELECT id, stream, type, coalesce({json_number('data', 'conversation')}, {json_number('data', 'id')}) FROM events "
        "WHERE stream LIKE 'user:%' AND type IN ('conversation.created', 'member.left') ORDER BY id"
    ):
        periods = found.setdefault((conversation, int(stream[5:])), [])
        if kind == "conversation.created":
            assert not periods or periods[-1][1] is not None, "joined twice"
            periods.append([i, None])
        else:
            assert periods[-1][1] is None, "left twice"
            periods[-1][1] = i
    stored: dict[tuple[int, int], list[list[int | None]]] = {}
    opening = dict(rows("SELECT conversation_id, min(from_event) FROM memberships GROUP BY conversation_id"))
    for conversation, user, opened, closed in rows(
        "SELECT conversation_id, user_id, from_event, to_event FROM memberships ORDER BY id"
    ):
        first = opened == opening[conversation]  # the first members share one position, before all their events
        stored.setdefault((conversation, user), []).append([found[conversation, user][0][0] if first else opened, closed])
    assert stored == found


def test_members_join_and_leave_on_two_gateways_and_see_exactly_their_events(cluster: Cluster) -> None:
    chance = random.Random(seed())
    ana, *others = cluster.people("ana", "ben", "cy", "dee")
    crew = group(ana, *others)
    for _ in range(2):
        cluster.start_gateway()
    changes = rounds(50)

    async def scenario() -> list[Sender]:
        owner = Owner(cluster, ana, crew, others, chance)
        senders = [Sender(cluster, user, [{"conversation": crew}], chance) for user in (ana, *others)]
        senders.append(Sender(cluster, others[0], [{"to": others[1]}], chance, "direct"))
        readers: list[Reader] = [Poller(cluster, user, chance) for user in (ana, *others, *others)]
        readers += [
            PickyPoller(cluster, others[0], chance),
            Streamer(cluster, others[1], chance),
            Socket(cluster, others[2], chance),
        ]
        readers += [Wanderer(cluster, user, chance) for user in others]
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: owner.changes >= changes))
            tasks.create_task(owner.change_until(changes))
        assert sum(sender.refused for sender in senders) > 0, "no former member tried to send"
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    check_intervals(cluster)


def test_readers_that_disconnect_at_any_moment_lose_nothing(cluster: Cluster) -> None:
    chance = random.Random(seed())
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()
    messages = rounds(60)

    async def scenario() -> None:
        sender = Sender(cluster, ana, [{"to": ben}], chance)
        readers = [AbortingPoller(cluster, ben, chance) for _ in range(8)]
        async with reading(*readers):
            await sender.send_until(lambda: len(sender.sent) >= messages)
        assert sum(reader.cuts for reader in readers) > 8

    asyncio.run(scenario())
    until(lambda: 'bellwire_polls_open{transport="poll"} 0.0' in cluster.metrics(port))


class AbortingPoller(Poller):
    """Aborts every other poll: before it is answered, or in the middle of its answer."""

    async def _once(self) -> None:
        if self._chance.random() < 0.5:
            await super()._once()
            return
        port = self._chance.choice(self._cluster.ports)
        streams = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /api/v1/events?cursor={self.cursor}&timeout=1 HTTP/1.1\r\nHost: test\r\n"
        streams[1].write(f"{head}Authorization: Bearer {self._cluster.token[self._user]}\r\n\r\n".encode())
        some: Any = asyncio.wait_for(streams[0].read(self._chance.randint(1, 2000)), self._chance.random() * 0.05)
        await asyncio.gather(some, return_exceptions=True)
        streams[1].close()
        self.cuts += 1
