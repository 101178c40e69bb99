"""The people of a replay: those who look all the time, those who are away, and the copies that each received."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import msgspec

from bench.load.client import Client, spread
from bench.load.people import Person
from tests.journeys.replay.exactness import Copy
from tests.journeys.replay.reader import Event, Reader

LOOKING_S = 2.0  # after the polls are opened, until everybody counts as looking
STALLED_S = 10.0  # without a delivery for so long, missing copies are lost


class Audience:
    """The people's readers, and the copies of messages that they parsed, by person."""

    def __init__(self, port: int, people: Sequence[Person], away: float, seed: int = 1) -> None:
        """Choose a share of the people to be away; the choice is the same each time."""
        self._port = port
        self.people = people
        self.away = set(random.Random(seed).sample(range(len(people)), round(away * len(people))))
        self.looking = [number for number in range(len(people)) if number not in self.away]
        self.copies: list[list[Copy]] = [[] for _ in people]
        self.parsed_at: list[dict[int, float]] = [{} for _ in people]
        self._decoder = msgspec.json.Decoder(Copy)
        self._readers = [self._reader(number, person) for number, person in enumerate(people)]

    def _reader(self, number: int, person: Person) -> Reader:
        """Return a reader that keeps the person's messages."""

        def keep(event: Event, at: float) -> None:
            if event.type == "message.created":
                message = self._decoder.decode(event.data)
                self.copies[number].append(message)
                self.parsed_at[number].setdefault(message.id, at)

        return Reader(self._port, person.token, keep)

    async def start(self) -> None:
        """Read everybody's cursor; open the polls of those who look."""

        async def read_cursor(client: Client, reader: Reader) -> None:
            await reader.read_cursor(client)

        await spread(self._port, self._readers, read_cursor)
        for number in self.looking:
            self._readers[number].start()
        await asyncio.sleep(LOOKING_S)

    async def wait_for_copies(self, expected: Sequence[int]) -> None:
        """Return once each person who looks has as many copies as expected[number], or nothing has come for STALLED_S."""
        stalled_s, before = 0.0, -1
        while stalled_s < STALLED_S:
            if all(len(self.copies[number]) >= expected[number] for number in self.looking):
                return
            now = sum(map(len, self.copies))
            stalled_s, before = (stalled_s + 0.1 if now == before else 0.0), now
            await asyncio.sleep(0.1)

    async def catch_up(self) -> None:
        """Let those who are away read on from their cursor."""
        for number in self.away:
            await self._readers[number].catch_up()

    async def stop(self) -> int:
        """End the polls; return how many failed."""
        await asyncio.gather(*(reader.stop() for reader in self._readers))
        return sum(reader.failed for reader in self._readers)
