"""The tools of an attack: the gateway's port, the attack's accounts, a seed, and a count of the answers."""

import asyncio
import itertools
import random
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.load.client import Client, raw_request
from bench.load.people import Person

HAMMERING_CONNECTIONS = 8
LARGE_BODY = "x" * 19_000  # code points; a message may have 20,000
RECEIVE_BUFFER_BYTES = 4096  # of a reader that does not read: as little as the kernel allows
PAUSE_S = 0.05


class Stage(msgspec.Struct):
    """The input of an attack's process; `people[0]` is the attacker, with a token."""

    port: int
    people: list[Person]
    seed: int


def server_errors(answers: Mapping[int, int]) -> int:
    """Return how many answers say that something broke; 503 says that there is too much to do."""
    return sum(count for status, count in answers.items() if status >= 500 and status != 503)


@dataclass
class Scene:
    """An attack's tools; `answers` counts statuses, and 0 for a connection that was closed without an answer."""

    stage: Stage
    answers: Counter[int] = field(default_factory=Counter)
    open_sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.stage.seed)
        self.attacker = self.stage.people[0]

    @property
    def requests(self) -> int:
        """The requests that were answered, or are open without being read."""
        return self.answers.total() + len(self.open_sockets)

    def close(self) -> None:
        """Close what is open without being read."""
        for connection in self.open_sockets:
            connection.close()

    async def call(self, method: str, path: str, body: object = None, *, person: Person | None = None) -> Any:
        """Call the API as the attacker until it is neither refused nor cut off; return the decoded answer."""
        return await self.until_done(raw_request(method, f"/api/v1{path}", (person or self.attacker).token, body))

    async def until_done(self, raw: bytes) -> Any:
        """Send a request until it is neither refused nor cut off; return the decoded answer."""
        client = Client(self.stage.port)
        try:
            while True:
                answer = await client.request(raw, 120)
                self.answers[answer.status] += 1
                if answer.status not in (429, 503):
                    return msgspec.json.decode(answer.body) if answer.body else None
                await asyncio.sleep(PAUSE_S)
        finally:
            client.close()

    async def hammer(self, requests: Iterator[bytes], connections: int = HAMMERING_CONNECTIONS) -> None:
        """Send requests over some connections, each as soon as the previous one was answered, without end."""
        await asyncio.gather(*(self._hammer(requests) for _ in range(connections)))

    async def _hammer(self, requests: Iterator[bytes]) -> None:
        client = Client(self.stage.port)
        for raw in requests:
            try:
                self.answers[(await client.request(raw, 120)).status] += 1
            except OSError:
                self.answers[0] += 1
                await asyncio.sleep(PAUSE_S)

    def repeat(self, method: str, path: str, body: object = None) -> Iterator[bytes]:
        """Return the same request of the attacker's, for ever."""
        return itertools.repeat(raw_request(method, f"/api/v1{path}", self.attacker.token, body))

    def send_unread(self, raw: bytes) -> None:
        """Send a request over a connection of its own whose answer is never read; count it when it is refused."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.settimeout(30)
        try:
            connection.connect(("127.0.0.1", self.stage.port))
            connection.sendall(raw)
            self.open_sockets.append(connection)
        except OSError:
            self.answers[0] += 1
            connection.close()

    async def group(self, members: int, title: str = "all") -> int:
        """Make a group with so many others, or all there are; return its id."""
        ids = [person.id for person in self.stage.people[1 : members + 1]]
        conversation = await self.call("POST", "/conversations", {"members": ids, "title": title})
        return int(conversation["id"])


@dataclass(frozen=True)
class Attack:
    """An attack: `people` accounts are made for it (with tokens where `tokens`), the first is the attacker's own."""

    name: str
    what: str
    run: Callable[[Scene], Coroutine[Any, Any, None]]
    people: int = 2
    tokens: bool = False
