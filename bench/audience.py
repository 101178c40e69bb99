"""Everybody in a replay: who looks all the time, who is away, and what each received."""

import asyncio
import random
from collections.abc import Sequence

import msgspec

from bench.client import Client, spread
from bench.exactness import Copy
from bench.people import Person
from bench.reader import Event, Reader

LOOKING_S = 2.0  # from opening the polls until everybody surely counts as looking
STALLED_S = 10.0  # without a delivery for so long, what is missing is lost


class Audience:
    """The people's readers, and the copies of messages that they parsed, by person."""

    def __init__(self, client: Client, people: Sequence[Person], away: float, seed: int = 1) -> None:
        """Choose a share of the people to be away; the choice is the same each time."""
        self._client = client
        self.people = people
        self.away = set(random.Random(seed).sample(range(len(people)), round(away * len(people))))
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

        return Reader(self._client.another(), person.token, keep)

    @property
    def looking(self) -> list[int]:
        """Who is not away."""
        return [number for number in range(len(self.people)) if number not in self.away]

    async def gather(self) -> None:
        """Learn everybody's cursor; open the polls of those who look."""

        async def remember(client: Client, reader: Reader) -> None:
            await reader.remember(client)

        await spread(self._client, self._readers, remember)
        for number in self.looking:
            self._readers[number].start()
        await asyncio.sleep(LOOKING_S)

    async def settle(self, wanted: Sequence[int]) -> None:
        """Return once each who looks has as many copies as wanted[number], or nothing has come for STALLED_S."""
        stalled, before = 0.0, -1
        while stalled < STALLED_S:
            if all(len(self.copies[number]) >= wanted[number] for number in self.looking):
                return
            now = sum(map(len, self.copies))
            stalled, before = (stalled + 0.1 if now == before else 0.0), now
            await asyncio.sleep(0.1)

    async def catch_up(self) -> None:
        """Let those who are away read on from their cursor."""
        for number in self.away:
            await self._readers[number].catch_up()

    async def leave(self) -> int:
        """End the polls; return how many failed."""
        await asyncio.gather(*(reader.stop() for reader in self._readers))
        return sum(reader.failed for reader in self._readers)
