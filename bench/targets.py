"""What a load sends and how it reads the answers: the floors, and Bellwire, behind one small face.

Users are the numbers 0 … n-1. Each message carries a number, the first word of its body, by which it is known again.
"""

import copy
import itertools
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bench.client import Client, raw_request
from bench.people import Person, make_people
from bench.server import Bellwire

PAD = "I took a nap, but one of those that do not help, they make it all worse; are we still meeting at six or seven?"


class Sending(Protocol):
    """Something that takes messages."""

    port: int
    created: int  # the status of an accepted send

    def send(self, user: int, number: int) -> bytes:
        """Return the request that sends message `number` to `user`."""


class Addressed(Sending, Protocol):
    """Something that takes messages to some users in turn."""

    users: int


class Polling(Addressed, Protocol):
    """Something that takes messages and delivers them to long polls."""

    async def cursor(self, client: Client, user: int) -> str:
        """Return the position from now on."""

    def poll(self, user: int, cursor: str, timeout_s: float) -> bytes:
        """Return the request that waits for what comes after `cursor`."""

    def polled(self, user: int, body: bytes) -> tuple[str, list[int]]:
        """Return the next cursor and the numbers of the messages that others sent to `user`."""


def _json_post(path: str, user: int, number: int) -> bytes:
    """Return a floor's send: about 200 bytes of JSON, as Bellwire's."""
    return raw_request("POST", path, body={"to": user, "body": f"{number:06d} {PAD}", "client_id": str(number)})


class EchoFloor:
    """Decode and encode, nothing else."""

    created = 200

    def __init__(self, port: int) -> None:
        """Name the server's port."""
        self.port = port

    def send(self, user: int, number: int) -> bytes:
        """Return an echo request."""
        return _json_post("/echo", user, number)


class _HubAnswer(msgspec.Struct):
    messages: list["_Body"]
    cursor: int


class _Body(msgspec.Struct):
    body: str


class HubFloor:
    """The long-poll hub without a store."""

    created = 200

    def __init__(self, port: int, users: int) -> None:
        """Name the server's port and how many users there are."""
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
    """Bellwire: user i+1 sends direct messages to user i."""

    created = 201

    def __init__(self, port: int, people: Sequence[Person], destinations: Sequence[dict[str, int]] = ()) -> None:
        """Name the port and the people; `destinations` (instead of `to`) must be one for each person."""
        self.port, self.users, self._people = port, len(people), people
        self._decoder = msgspec.json.Decoder(_Events)
        self._heads = []
        for number, person in enumerate(people):
            sender = people[(number + 1) % len(people)]
            where = destinations[number] if destinations else {"to": person.id}
            head = raw_request("POST", "/api/v1/messages", sender.token).split(b"Content-Length")[0]
            self._heads.append((head + b"Content-Length: ", msgspec.json.encode(where)[:-1]))

    def through(self, port: int) -> "Chat":
        """Return the same people's target behind another gateway."""
        other = copy.copy(self)
        other.port = port
        return other

    def send(self, user: int, number: int) -> bytes:
        """Return a send; `number` is the client id too."""
        head, where = self._heads[user]
        body = b'%b,"body":"%06d %b","client_id":"%d"}' % (where, number, PAD.encode(), number)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    async def cursor(self, client: Client, user: int) -> str:
        """Return the cursor of now."""
        answer = await client.call("GET", "/api/v1/events", self._people[user].token)
        return str(answer["cursor"])

    def poll(self, user: int, cursor: str, timeout_s: float) -> bytes:
        """Return a poll for messages."""
        path = f"/api/v1/events?cursor={cursor}&timeout={timeout_s:g}&types=message.created"
        return raw_request("GET", path, self._people[user].token)

    def polled(self, user: int, body: bytes) -> tuple[str, list[int]]:
        """Return the next cursor and the numbers of what others sent: the sender's own copy is no delivery."""
        answer, own = self._decoder.decode(body), self._people[user].id
        return answer.cursor, [int(event.data.body[:6]) for event in answer.events if event.data.sender != own]


async def chat(server: Bellwire, users: int) -> Chat:
    """Make `users` people on a fresh server and return the target."""
    client = Client(server.port)
    people = await make_people(client, server.admin_token, users, "person")
    client.close()
    return Chat(server.port, people)


def numbers(first: int = 1) -> "itertools.count[int]":
    """Return message numbers from `first` on; none may come twice in a server's life, nor have over six digits."""
    return itertools.count(first)
