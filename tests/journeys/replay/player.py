"""Play conversations over HTTP: the messages of one conversation in order, many conversations at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import msgspec

from bench.load.client import Client, raw_request
from bench.load.people import Person
from tests.journeys.replay.conversations import Dialogue

TRIES = 6  # of one message, with the same client id, as a good client does
FIRST_PAUSE_S = 0.2  # doubles with each try


@dataclass(frozen=True, slots=True)
class Sent:
    """An acknowledged message; sender and receiver are numbers of people, times are seconds of perf_counter."""

    id: int
    conversation: int
    sender: int
    receiver: int
    body: str
    at: float
    seconds: float


class _Posted(msgspec.Struct):
    id: int
    conversation: int


@dataclass
class Player:
    """Sends the recorded messages, and keeps the acknowledged ones in the order of the answers."""

    port: int
    people: Sequence[Person]
    speed: float | None  # messages a second, None for as fast as they are answered
    sent: list[Sent] = field(default_factory=list)
    retried: int = 0
    failed: int = 0
    first_failure: str = ""
    _begun: int = 0
    _start: float = 0.0

    async def play(self, dialogues: Sequence[Dialogue], at_once: int) -> float:
        """Play all, the conversations of one pair one after another; return the duration in seconds."""
        by_pair: defaultdict[tuple[int, int], list[Dialogue]] = defaultdict(list)
        for dialogue in dialogues:
            by_pair[dialogue.pair].append(dialogue)
        longest_first = sorted(by_pair.values(), key=lambda pair: -sum(len(dialogue.messages) for dialogue in pair))
        left = iter(longest_first)

        async def work() -> None:
            client = Client(self.port)
            for pair in left:
                for dialogue in pair:
                    await self._play_dialogue(client, dialogue)
            client.close()

        self._start = perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return perf_counter() - self._start

    async def _play_dialogue(self, client: Client, dialogue: Dialogue) -> None:
        for sender, body in dialogue.messages:
            receiver = dialogue.pair[dialogue.pair[0] == sender]
            number = self._begun
            self._begun += 1
            await self._pace(number)
            start = perf_counter()
            message = {"to": self.people[receiver].id, "body": body, "client_id": f"replay-{number}"}
            made = await self._post(client, raw_request("POST", "/api/v1/messages", self.people[sender].token, message))
            if made is None:
                self.failed += 1
                return  # later messages would be out of order
            self.sent.append(Sent(made.id, made.conversation, sender, receiver, body, start, perf_counter() - start))

    async def _pace(self, number: int) -> None:
        """Wait until the message is due at the chosen speed."""
        if self.speed:
            await asyncio.sleep(max(0.0, self._start + number / self.speed - perf_counter()))

    async def _post(self, client: Client, raw: bytes) -> _Posted | None:
        """Send until acknowledged, with the same client id each time; return None after TRIES."""
        for attempt in range(TRIES):
            try:
                answer = await client.request(raw)
            except OSError as error:
                reason, final = str(error), False
            else:
                if answer.status == 201 or (answer.status == 200 and attempt > 0):
                    return msgspec.json.decode(answer.body, type=_Posted)
                reason, final = f"{answer.status} {answer.text}", answer.status not in (429, 503)
            if final:
                break
            self.retried += 1
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        self.first_failure = self.first_failure or reason
        return None
