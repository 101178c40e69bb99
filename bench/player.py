"""Plays conversations over HTTP: the turns of one in order, many at once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import msgspec

from bench.client import Client, raw_request
from bench.conversations import Dialogue
from bench.people import Person

TRIES = 6  # of one message, with the same client id, as a good client does
FIRST_PAUSE_S = 0.2  # doubles with each try


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was acknowledged; sender and receiver are numbers, times are seconds of perf_counter."""

    id: int
    conversation: int
    sender: int
    receiver: int
    body: str
    at: float
    took_s: float


class _Posted(msgspec.Struct):
    id: int
    conversation: int


@dataclass
class Player:
    """Sends what people said, and keeps what was acknowledged, in the order of the answers."""

    client: Client
    people: Sequence[Person]
    speed: float | None  # messages a second, None for as fast as they are answered
    on_sent: Callable[[int], None]  # called with how many were sent
    tag: str  # makes client ids unique to this replay
    sent: list[Sent] = field(default_factory=list)
    retried: int = 0
    failed: int = 0
    first_failure: str = ""
    _begun: int = 0
    _start: float = 0.0

    async def play(self, dialogues: Sequence[Dialogue], at_once: int) -> float:
        """Play them all, the conversations of one pair one after another; return the seconds it took."""
        by_pair: defaultdict[tuple[int, int], list[Dialogue]] = defaultdict(list)
        for dialogue in dialogues:
            by_pair[dialogue.pair].append(dialogue)
        longest_first = sorted(by_pair.values(), key=lambda ours: -sum(len(one.turns) for one in ours))
        left = iter(longest_first)

        async def work() -> None:
            client = self.client.another()
            for ours in left:
                for dialogue in ours:
                    await self._play_one(client, dialogue)
            client.close()

        self._start = perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return perf_counter() - self._start

    async def _play_one(self, client: Client, dialogue: Dialogue) -> None:
        for sender, body in dialogue.turns:
            receiver = dialogue.pair[dialogue.pair[0] == sender]
            number = self._begun
            self._begun += 1
            await self._pace(number)
            start = perf_counter()
            message = {"to": self.people[receiver].id, "body": body, "client_id": f"{self.tag}-{number}"}
            made = await self._post(client, raw_request("POST", "/api/v1/messages", self.people[sender].token, message))
            if made is None:
                self.failed += 1
                return  # what follows would be out of order
            took = perf_counter() - start
            self.sent.append(Sent(made.id, made.conversation, sender, receiver, body, start, took))
            self.on_sent(len(self.sent))

    async def _pace(self, number: int) -> None:
        """Wait for the message's turn."""
        if self.speed:
            await asyncio.sleep(max(0.0, self._start + number / self.speed - perf_counter()))

    async def _post(self, client: Client, raw: bytes) -> _Posted | None:
        """Send until it is acknowledged: a repetition carries the same client id. None when it never was."""
        for turn in range(TRIES):
            try:
                answer = await client.request(raw)
            except OSError as error:
                why, final = str(error), False
            else:
                if answer.status == 201 or (answer.status == 200 and turn > 0):
                    return msgspec.json.decode(answer.body, type=_Posted)
                why, final = f"{answer.status} {answer.text}", answer.status not in (429, 503)
            if final:
                break
            self.retried += 1
            await asyncio.sleep(FIRST_PAUSE_S * 2**turn)
        self.first_failure = self.first_failure or why
        return None
