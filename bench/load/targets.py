"""Targets of a load: they make its requests and read its answers, for the floors and for Bellwire.

Users are the numbers 0 … n-1. The first word of each message's body is its number, by which a reader recognizes it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bench.load.client import Client, raw_request
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire

USERS = 1000  # default limits allow each 20 sends a second and 600 a minute: 10,000/s in all
PAD = "I took a nap, but one of those that do not help, they make it all worse; are we still meeting at six or seven?"


class Sending(Protocol):
    """A target that accepts messages to its users."""

    port: int
    users: int
    created: int  # the status of an accepted send

    def send(self, user: int, number: int) -> bytes:
        """Return the request that sends message `number` to `user`."""


class Polling(Sending, Protocol):
    """A target that also delivers messages to long polls."""

    async def cursor(self, client: Client, user: int) -> str:
        """Return the current position."""

    def poll(self, user: int, cursor: str, timeout_s: float) -> bytes:
        """Return the request that waits for messages after `cursor`."""

    def polled(self, user: int, body: bytes) -> tuple[str, list[int]]:
        """Return the next cursor and the numbers of the messages that others sent to `user`."""


def _json_post(path: str, user: int, number: int) -> bytes:
    """Return a floor's send: about 200 bytes of JSON, as Bellwire's."""
    return raw_request("POST", path, body={"to": user, "body": f"{number:06d} {PAD}", "client_id": str(number)})


class EchoFloor:
    """Plain Tornado that decodes and encodes JSON, nothing else."""

    created = 200
    users = 1

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, user: int, number: int) -> bytes:
        """Return an echo request."""
        return _json_post("/echo", user, number)


class _Body(msgspec.Struct):
    body: str


class _HubAnswer(msgspec.Struct):
    messages: list[_Body]
    cursor: int


class HubFloor:
    """Plain Tornado with a long-poll hub in memory."""

    created = 200

    def __init__(self, port: int, users: int) -> None:
        self.port, self.users = port, users
        self._decoder = msgspec.json.Decoder(_HubAnswer)

    def send(self, user: int, number: int) -> bytes:
        """Return a send."""
        return _json_post("/send", user, number)

    async def cursor(self, client: Client, user: int) -> str:
        """Return the number of the last message."""
        answer = await client.request(self.poll(user, "0", 0))
        return self.polled(user, answer.body)[0]

    def poll(self, user: int, cursor: str, timeout_s: float) -> bytes:
        """Return a poll."""
        return raw_request("GET", f"/poll?user={user}&cursor={cursor}&timeout={timeout_s:g}")

    def polled(self, user: int, body: bytes) -> tuple[str, list[int]]:
        """Return the next cursor and the numbers."""
        answer = self._decoder.decode(body)
        return str(answer.cursor), [int(message.body[:6]) for message in answer.messages]


class _Message(msgspec.Struct):
    sender: int
    body: str


class _Event(msgspec.Struct):
    data: _Message


class _Events(msgspec.Struct):
    events: list[_Event]
    cursor: str


class Chat:
    """Bellwire: user i+1 sends direct messages to user i, or to a conversation instead."""

    created = 201

    def __init__(self, port: int, people: Sequence[Person], conversation: int | None = None) -> None:
        self.port, self.users, self._people = port, len(people), people
        self._decoder = msgspec.json.Decoder(_Events)
        self._heads = []
        for number, person in enumerate(people):
            sender = people[(number + 1) % len(people)]
            destination = {"to": person.id} if conversation is None else {"conversation": conversation}
            head = raw_request("POST", "/api/v1/messages", sender.token).split(b"Content-Length")[0]
            self._heads.append((head + b"Content-Length: ", msgspec.json.encode(destination)[:-1]))

    def through(self, port: int) -> Chat:
        """Return the target for the same people at another gateway."""
        other = copy.copy(self)
        other.port = port
        return other

    def send(self, user: int, number: int) -> bytes:
        """Return a send; `number` is also the client id."""
        head, destination = self._heads[user]
        body = b'%b,"body":"%06d %b","client_id":"%d"}' % (destination, number, PAD.encode(), number)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    async def cursor(self, client: Client, user: int) -> str:
        """Return the current cursor."""
        answer = await client.call("GET", "/api/v1/events", self._people[user].token)
        return str(answer["cursor"])

    def poll(self, user: int, cursor: str, timeout_s: float) -> bytes:
        """Return a poll for messages."""
        path = f"/api/v1/events?cursor={cursor}&timeout={timeout_s:g}&types=message.created"
        return raw_request("GET", path, self._people[user].token)

    def polled(self, user: int, body: bytes) -> tuple[str, list[int]]:
        """Return the next cursor and the numbers of others' messages: the sender's own copy is not a delivery."""
        answer, own = self._decoder.decode(body), self._people[user].id
        return answer.cursor, [int(event.data.body[:6]) for event in answer.events if event.data.sender != own]


def create_chat(server: Bellwire, users: int = USERS) -> Chat:
    """Create `users` people on a fresh server and return the target."""
    return Chat(server.port, create_people(server, users))


def numbers(first: int = 1) -> itertools.count[int]:
    """Return message numbers from `first` on; each may be used once on a server, and has at most six digits."""
    return itertools.count(first)
