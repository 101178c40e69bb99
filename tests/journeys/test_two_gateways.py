"""Two gateways write to one store while members come and go; readers change gateways between polls."""

import asyncio
import random
from typing import Any

from models.store.database import rows
from tests.journeys.clients import Link, PickyPoller, Poller, Reader, Sender, Socket, Streamer, Wanderer, reading
from tests.journeys.house import House, rounds, seed, until_now
from tests.journeys.test_kills import check_messages
from tests.models.people import group
from tests.stores import json_number


class Owner:
    """Adds and removes members of a group, on any gateway, and keeps a list of who was in when."""

    def __init__(self, house: House, user: int, crew: int, others: list[int], chance: random.Random) -> None:
        self._house = house
        self._links = {port: Link(port, house.token[user]) for port in house.ports}
        self._crew = crew
        self._in = set(others)
        self._others = others
        self._chance = chance
        self.changes = 0

    async def change(self) -> None:
        """One comes or goes."""
        link = self._links[self._chance.choice(self._house.ports)]
        member = self._chance.choice(self._others)
        method = "DELETE" if member in self._in else "PUT"
        answer = await link.call(method, f"/api/v1/conversations/{self._crew}/members/{member}")
        assert answer.status == 204, answer
        self._in ^= {member}
        self.changes += 1

    async def go_on(self, count: int) -> None:
        """So many changes."""
        while self.changes < count:
            await self.change()


def check_intervals(house: House) -> None:
    """Memberships are what the log says of comings and goings: an independent look at what `visible` relies on."""
    found: dict[tuple[int, int], list[list[int | None]]] = {}
    for i, stream, kind, place in rows(
        f"SELECT id, stream, type, coalesce({json_number('data', 'conversation')}, {json_number('data', 'id')}) FROM events "
        "WHERE stream LIKE 'user:%' AND type IN ('conversation.created', 'member.left') ORDER BY id"
    ):
        periods = found.setdefault((place, int(stream[5:])), [])
        if kind == "conversation.created":
            assert not periods or periods[-1][1] is not None, "came twice"
            periods.append([i, None])
        else:
            assert periods[-1][1] is None, "left twice"
            periods[-1][1] = i
    stored: dict[tuple[int, int], list[list[int | None]]] = {}
    opening = dict(rows("SELECT conversation_id, min(from_event) FROM memberships GROUP BY conversation_id"))
    for place, user, opened, closed in rows("SELECT conversation_id, user_id, from_event, to_event FROM memberships ORDER BY id"):
        first = opened == opening[place]  # who is there from the start shares one place, before all their events
        stored.setdefault((place, user), []).append([found[place, user][0][0] if first else opened, closed])
    assert stored == found


def test_members_come_and_go_on_two_gateways_and_nobody_skips_or_sees_too_much(house: House) -> None:
    chance = random.Random(seed())
    ana, *others = house.people("ana", "ben", "cy", "dee")
    crew = group(ana, *others)
    for _ in range(2):
        house.start_gateway()
    changes = rounds(80)

    async def scenario() -> list[Sender]:
        owner = Owner(house, ana, crew, others, chance)
        senders = [Sender(house, user, [{"conversation": crew}], chance) for user in (ana, *others)]
        senders.append(Sender(house, others[0], [{"to": others[1]}], chance, "direct"))
        readers: list[Reader] = [Poller(house, user, chance) for user in (ana, *others, *others)]
        readers += [PickyPoller(house, others[0], chance), Streamer(house, others[1], chance), Socket(house, others[2], chance)]
        readers += [Wanderer(house, user, chance) for user in others]
        async with reading(*readers), asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.go_on(lambda: owner.changes >= changes))
            tasks.create_task(owner.go_on(changes))
        assert sum(sender.refused for sender in senders) > 0, "nobody sent while being out"
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    check_intervals(house)


def test_readers_that_go_away_at_any_moment_lose_nothing(house: House) -> None:
    chance = random.Random(seed())
    ana, ben = house.people("ana", "ben")
    port = house.start_gateway()
    messages = rounds(100)

    async def scenario() -> None:
        sender = Sender(house, ana, [{"to": ben}], chance)
        readers = [Restless(house, ben, chance) for _ in range(8)]
        async with reading(*readers):
            await sender.go_on(lambda: len(sender.sent) >= messages)
        assert sum(reader.cuts for reader in readers) > 8

    asyncio.run(scenario())
    until_now(lambda: 'bellwire_polls_open{transport="poll"} 0.0' in house.metrics(port))


class Restless(Poller):
    """Cuts off every other poll: before it is answered, or in the middle of its answer."""

    async def _once(self) -> None:
        if self._chance.random() < 0.5:
            await super()._once()
            return
        port = self._chance.choice(self._house.ports)
        streams = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /api/v1/events?cursor={self.cursor}&timeout=1 HTTP/1.1\r\nHost: test\r\n"
        streams[1].write(f"{head}Authorization: Bearer {self._house.token[self._user]}\r\n\r\n".encode())
        some: Any = asyncio.wait_for(streams[0].read(self._chance.randint(1, 2000)), self._chance.random() * 0.05)
        await asyncio.gather(some, return_exceptions=True)
        streams[1].close()
        self.cuts += 1
