"""Clients as the contract has them: senders that retry by client_id, and readers that pass their cursor back, on any transport."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import websockets

from tests.journeys.house import House, visible

BROKEN = (ConnectionError, asyncio.IncompleteReadError, EOFError)
PAUSE_S = 0.02  # before trying again a gateway that is not there
TYPES = ("message.created", "message.deleted", "member.joined", "member.left", "conversation.created", "message.reacted")


class Response(NamedTuple):
    """One answer: `body` is decoded JSON, or None."""

    status: int
    headers: dict[str, str]
    body: Any


class Link:
    """One kept-alive HTTP connection. Raises one of BROKEN when it breaks."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._chunked = False
        self._body = b""  # what has come of it, past the last line

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        """One request and its answer."""
        await self.ask(method, path, body)
        return await self.answer()

    async def ask(self, method: str, path: str, body: Any = None) -> None:
        """Sends a request, without waiting for its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Authorization: Bearer {self._token}"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        writer = self._streams[1]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    async def answer(self) -> Response:
        """The answer to the request that was sent."""
        status, headers = await self.head()
        assert self._streams is not None
        content = await self._streams[0].readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Response(status, headers, json.loads(content) if content else None)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        assert self._streams is not None
        lines = (await self._streams[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        self._chunked, self._body = headers.get("transfer-encoding") == "chunked", b""
        return int(lines[0].split()[1]), headers

    async def line(self) -> bytes:
        """One line of a body that goes on and on, wherever its chunks are cut (RFC 9112, section 7.1)."""
        assert self._streams is not None
        if not self._chunked:
            return await self._streams[0].readuntil(b"\n")
        while b"\n" not in self._body:
            size = int(await self._streams[0].readuntil(b"\r\n"), 16)
            if not size:
                raise EOFError
            self._body += (await self._streams[0].readexactly(size + 2))[:-2]
        line, _, self._body = self._body.partition(b"\n")
        return line

    def close(self) -> None:
        """Cuts the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Sender:
    """Sends one message after the other, each again and again with its client_id until it is answered."""

    def __init__(self, house: House, user: int, places: list[dict[str, int]], chance: random.Random, name: str = "") -> None:
        self.sent: dict[str, tuple[int, str]] = {}  # client_id -> message id and body, of those answered 2xx
        self.refused = 0  # answered 404: not a member there now
        self.unavailable = 0  # answers 503
        self._house = house
        self._user = user
        self._places = places
        self._chance = chance
        self._name = name or str(user)
        self._tried = 0
        self._links: dict[int, Link] = {}

    async def send(self) -> None:
        """One message, to one of the places, answered at last."""
        self._tried += 1
        client_id = f"{self._name}-{self._tried}"
        body = {**self._chance.choice(self._places), "body": f"text of {client_id}.", "client_id": client_id}
        known = None
        for _ in range(1 if self._chance.random() < 0.8 else 2):  # a retry although it was answered
            answer = await self._until_answered(body)
            if answer.status == 404:
                self.refused += 1
                assert known is None, "a message that was sent is gone"
                return
            assert answer.status in (200, 201), answer
            assert known in (None, answer.body["id"]), "a retry made another message"
            assert known is None or answer.status == 200
            known = answer.body["id"]
        self.sent[client_id] = (known or 0, str(body["body"]))

    async def _until_answered(self, body: dict[str, Any]) -> Response:
        while True:
            port = self._chance.choice(self._house.ports)
            link = self._links.setdefault(port, Link(port, self._house.token[self._user]))
            try:
                answer = await link.call("POST", "/api/v1/messages", body)
            except BROKEN:
                link.close()
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status != 503:
                return answer
            assert "retry-after" in answer.headers
            self.unavailable += 1
            await asyncio.sleep(PAUSE_S)

    async def go_on(self, enough: Callable[[], bool]) -> None:
        """Sends until it is enough."""
        while not enough():
            await self.send()
        for link in self._links.values():
            link.close()


def place(cursor: str) -> int:
    """The place in the log that a cursor stands for."""
    return int(cursor.rpartition("-")[2])


class Reader:
    """Reads a user's log from a place on. `read` is what came, (id, type, data); `seen`, how far it has read."""

    def __init__(self, house: House, user: int, chance: random.Random, cursor: str = "begin") -> None:
        self.read: list[tuple[int, str, Any]] = []
        self.cuts = 0  # polls that were cut off by their own client
        self.cursor = cursor
        self.seen = 0
        self.types: frozenset[str] | None = None
        self._house = house
        self._user = user
        self._chance = chance

    async def until_all_is_read(self, over: asyncio.Event) -> None:
        """Reads on until it is over and nothing is left."""
        while not (over.is_set() and self.seen >= self._last()):
            try:
                async with asyncio.timeout(60):
                    await self._once()
            except (*BROKEN, websockets.WebSocketException):
                await asyncio.sleep(PAUSE_S)

    def _last(self) -> int:
        mine = visible(self._user)
        return mine[-1][0] if mine else 0

    def check(self) -> None:
        """Each event that is this user's to see came once, in order, and no other, with its data."""
        expected = [(i, kind, json.loads(data)) for i, kind, data in visible(self._user)]
        assert [i for i, *_ in self.read] == [i for i, *_ in expected]
        assert [kind for _, kind, _ in self.read] == [kind for _, kind, _ in expected]

    def _took(self, event: dict[str, Any]) -> None:
        if event["id"] is not None:
            self.read.append((place(event["id"]), event["type"], event["data"]))

    async def _once(self) -> None:
        raise NotImplementedError


class Poller(Reader):
    """Long polls, on another gateway each time; cut off by the client now and then, at any moment."""

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._house.ports), self._house.token[self._user])
        path = f"/api/v1/events?timeout={self._chance.choice((0, 0.05, 0.3, 1))}&cursor={self.cursor}"
        try:
            if self._chance.random() < 0.2:
                await link.ask("GET", path)
                self.cuts += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._chance.random() * 0.05):
                        await link.answer()
                return
            answer = await link.call("GET", path)
            if answer.status == 503:
                await asyncio.sleep(PAUSE_S)
                return
            assert answer.status == 200, answer
            for event in answer.body["events"]:
                self._took(event)
            assert place(answer.body["cursor"]) >= self.seen, "a cursor went back"
            self.cursor, self.seen = answer.body["cursor"], place(answer.body["cursor"])
        finally:
            link.close()


class PickyPoller(Reader):
    """Long polls that ask for some types, others each time: the events of the other types are passed over for good."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[tuple[int, int, frozenset[str] | None]] = []  # from, to, types

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._house.ports), self._house.token[self._user])
        types = frozenset(self._chance.sample(TYPES, self._chance.randint(1, 4))) if self._chance.random() < 0.7 else None
        chosen = f"&types={','.join(types)}" if types else ""
        try:
            path = f"/api/v1/events?timeout={self._chance.choice((0, 0.05, 0.3))}{chosen}&cursor={self.cursor}"
            answer = await link.call("GET", path)
            if answer.status == 503:
                return
            for event in answer.body["events"]:
                self._took(event)
            reached = place(answer.body["cursor"])
            self.asked.append((self.seen, reached, types))
            self.cursor, self.seen = answer.body["cursor"], reached
        finally:
            link.close()

    def check(self) -> None:
        """Each poll gave what it asked for of the part of the log that it passed over."""
        mine = visible(self._user)
        expected = [
            i for low, high, types in self.asked for i, kind, _ in mine if low < i <= high and (types is None or kind in types)
        ]
        assert [i for i, *_ in self.read] == expected


class Streamer(Reader):
    """Server-sent events, resumed by the last `id:` line; the client goes away now and then."""

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._house.ports), self._house.token[self._user])
        try:
            await link.ask("GET", f"/api/v1/events/stream?cursor={self.cursor}")
            status, _ = await link.head()
            if status == 503:
                return
            assert status == 200
            lines, block = self._chance.randint(20, 400), dict[str, str]()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    for _ in range(lines):
                        self._line(await link.line(), block)
            self.cuts += 1
        finally:
            link.close()

    def _line(self, line: bytes, block: dict[str, str]) -> None:
        """An id counts, and an event is there, when its block has ended with an empty line."""
        name, _, value = line.decode().strip().partition(": ")
        if name:
            block[name] = value
            return
        if "data" in block:
            event = json.loads(block["data"])
            assert event["type"] != "cursor.expired"
            self._took(event)
        if "id" in block:
            self.cursor, self.seen = block["id"], place(block["id"])
        block.clear()


class Socket(Reader):
    """A WebSocket, resumed by the last event's id or cursor frame."""

    async def _once(self) -> None:
        port = self._chance.choice(self._house.ports)
        url = f"ws://127.0.0.1:{port}/api/v1/events/ws?cursor={self.cursor}&token={self._house.token[self._user]}"
        async with websockets.connect(url, open_timeout=20, close_timeout=1) as socket:
            for _ in range(self._chance.randint(5, 200)):
                try:
                    async with asyncio.timeout(1):
                        frame = json.loads(await socket.recv())
                except TimeoutError:
                    break
                assert frame["type"] != "cursor.expired"
                if frame["type"] != "cursor":
                    self._took(frame)
                if frame["id"] is not None:
                    self.cursor, self.seen = frame["id"], place(frame["id"])
        self.cuts += 1


class Wanderer(Poller, Streamer, Socket):
    """Changes the transport each time, with the cursor that the one before gave it."""

    async def _once(self) -> None:
        await self._chance.choice((Poller, Streamer, Socket))._once(self)


@contextlib.asynccontextmanager
async def reading(*readers: Reader) -> AsyncIterator[None]:
    """Lets them read while something happens, then until each has read all; then checks each."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for reader in readers:
            tasks.create_task(reader.until_all_is_read(over))
        yield
        over.set()
    for reader in readers:
        reader.check()
