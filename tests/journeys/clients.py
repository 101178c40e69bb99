"""Clients that follow the contract: senders that retry by client_id, and readers that return their cursor, on any transport."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import websockets

from tests.journeys.cluster import Cluster, visible
from tests.waiting import LIMIT_S

BROKEN = (ConnectionError, asyncio.IncompleteReadError, EOFError)
PAUSE_S = 0.02  # before the next try when a gateway does not answer
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
        self._body = b""  # received bytes after the last line

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        """Send a request and return its answer."""
        await self.request(method, path, body)
        return await self.answer()

    async def request(self, method: str, path: str, body: Any = None) -> None:
        """Send a request without waiting for its answer. Bytes are lines of JSON, any other body is encoded."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)
        kind, content = (
            ("x-ndjson", body) if isinstance(body, bytes) else ("json", b"" if body is None else json.dumps(body).encode())
        )
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Authorization: Bearer {self._token}"]
        if body is not None:
            lines += [f"Content-Type: application/{kind}", f"Content-Length: {len(content)}"]
        writer = self._streams[1]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    async def answer(self) -> Response:
        """Read the answer to the request that was sent."""
        status, headers = await self.head()
        assert self._streams is not None
        content = await self._streams[0].readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Response(status, headers, json.loads(content) if content else None)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and headers of the answer."""
        assert self._streams is not None
        lines = (await self._streams[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        self._chunked, self._body = headers.get("transfer-encoding") == "chunked", b""
        return int(lines[0].split()[1]), headers

    async def line(self) -> bytes:
        """Read one line of an endless body, wherever its chunks end (RFC 9112, section 7.1)."""
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
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Caller:
    """Calls a random gateway each time, and repeats a call until it is answered."""

    def __init__(self, cluster: Cluster, user: int, chance: random.Random) -> None:
        self.unavailable = 0  # answers 503
        self._cluster = cluster
        self._user = user
        self._chance = chance
        self._links: dict[int, Link] = {}

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        """Return the answer, which is not 503."""
        while True:
            port = self._chance.choice(self._cluster.ports)
            link = self._links.setdefault(port, Link(port, self._cluster.token[self._user]))
            try:
                answer = await link.call(method, f"/api/v1{path}", body)
            except BROKEN:
                link.close()
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status != 503:
                return answer
            assert "retry-after" in answer.headers
            self.unavailable += 1
            await asyncio.sleep(PAUSE_S)

    def close(self) -> None:
        """Close the connections."""
        for link in self._links.values():
            link.close()


class Sender(Caller):
    """Sends one message after the other, and repeats each with its client_id until it is answered."""

    def __init__(self, cluster: Cluster, user: int, targets: list[dict[str, int]], chance: random.Random, name: str = "") -> None:
        super().__init__(cluster, user, chance)
        self.sent: dict[str, tuple[int, str]] = {}  # client_id -> (message id, body), of messages that were answered 2xx
        self.refused = 0  # answers 404: not a member there now
        self._targets = targets
        self._name = name or str(user)
        self._tried = 0

    async def send(self) -> None:
        """Send one message to one of the targets, until it is answered."""
        self._tried += 1
        client_id = f"{self._name}-{self._tried}"
        body = {**self._chance.choice(self._targets), "body": f"text of {client_id}.", "client_id": client_id}
        known = None
        for _ in range(1 if self._chance.random() < 0.8 else 2):  # sometimes retry although it was answered
            answer = await self._until_answered(body)
            if answer.status == 404:
                self.refused += 1
                assert known is None, "a sent message no longer exists"
                return
            assert answer.status in (200, 201), answer
            assert known in (None, answer.body["id"]), "a retry created another message"
            assert known is None or answer.status == 200
            known = answer.body["id"]
        self.sent[client_id] = (known or 0, str(body["body"]))

    async def _until_answered(self, body: dict[str, Any]) -> Response:
        return await self.call("POST", "/messages", body)

    async def send_until(self, enough: Callable[[], bool]) -> None:
        """Send messages until `enough()`."""
        while not enough():
            await self.send()
        self.close()


def position(cursor: str) -> int:
    """The event id in a cursor."""
    return int(cursor.rpartition("-")[2])


class Reader:
    """Reads a user's events from a cursor on. `read` has those received as (id, type, data); `seen` is the position reached."""

    def __init__(self, cluster: Cluster, user: int, chance: random.Random, cursor: str = "begin") -> None:
        self.read: list[tuple[int, str, Any]] = []
        self.cuts = 0  # requests that the client itself aborted
        self.cursor = cursor
        self.seen = 0
        self.types: frozenset[str] | None = None
        self._cluster = cluster
        self._user = user
        self._chance = chance

    async def until_all_is_read(self, over: asyncio.Event) -> None:
        """Read until `over` is set and nothing is left."""
        while not (over.is_set() and self.seen >= self._last()):
            try:
                async with asyncio.timeout(LIMIT_S):
                    await self._once()
            except (*BROKEN, websockets.WebSocketException):
                await asyncio.sleep(PAUSE_S)

    def _last(self) -> int:
        mine = visible(self._user)
        return mine[-1][0] if mine else 0

    def check(self) -> None:
        """Check that each event that this user may see was received once and in order, and no other. A worker may have added some
        since the reader had read everything."""
        expected = [(i, kind, json.loads(data)) for i, kind, data in visible(self._user) if i <= self.seen]
        differing = {i for i, *_ in self.read} ^ {i for i, *_ in expected}
        assert not differing, [each for each in (*expected, *self.read) if each[0] in differing]
        assert [i for i, *_ in self.read] == [i for i, *_ in expected]
        assert [kind for _, kind, _ in self.read] == [kind for _, kind, _ in expected]

    def _record(self, event: dict[str, Any]) -> None:
        if event["id"] is not None:
            self.read.append((position(event["id"]), event["type"], event["data"]))

    async def _once(self) -> None:
        raise NotImplementedError


class Poller(Reader):
    """Long polls, each on a random gateway; the client aborts some of them at a random moment."""

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._cluster.ports), self._cluster.token[self._user])
        path = f"/api/v1/events?timeout={self._chance.choice((0, 0.05, 0.3, 1))}&cursor={self.cursor}"
        try:
            if self._chance.random() < 0.2:
                await link.request("GET", path)
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
                self._record(event)
            assert position(answer.body["cursor"]) >= self.seen, "a cursor went back"
            self.cursor, self.seen = answer.body["cursor"], position(answer.body["cursor"])
        finally:
            link.close()


class PickyPoller(Reader):
    """Long polls with a random choice of types each time. Events of other types are skipped for good."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.polls: list[tuple[int, int, frozenset[str] | None]] = []  # (position before, position after, types)

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._cluster.ports), self._cluster.token[self._user])
        types = frozenset(self._chance.sample(TYPES, self._chance.randint(1, 4))) if self._chance.random() < 0.7 else None
        chosen = f"&types={','.join(types)}" if types else ""
        try:
            path = f"/api/v1/events?timeout={self._chance.choice((0, 0.05, 0.3))}{chosen}&cursor={self.cursor}"
            answer = await link.call("GET", path)
            if answer.status == 503:
                return
            for event in answer.body["events"]:
                self._record(event)
            reached = position(answer.body["cursor"])
            self.polls.append((self.seen, reached, types))
            self.cursor, self.seen = answer.body["cursor"], reached
        finally:
            link.close()

    def check(self) -> None:
        """Check that each poll returned the events of its types between its two positions."""
        mine = visible(self._user)
        expected = [
            i for low, high, types in self.polls for i, kind, _ in mine if low < i <= high and (types is None or kind in types)
        ]
        assert [i for i, *_ in self.read] == expected


class Streamer(Reader):
    """Server-sent events, resumed from the last `id:` line; the client disconnects now and then."""

    async def _once(self) -> None:
        link = Link(self._chance.choice(self._cluster.ports), self._cluster.token[self._user])
        try:
            await link.request("GET", f"/api/v1/events/stream?cursor={self.cursor}")
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
        """Parse one line. An id or event is complete when its block ends with an empty line."""
        name, _, value = line.decode().strip().partition(": ")
        if name:
            block[name] = value
            return
        if "data" in block:
            event = json.loads(block["data"])
            assert event["type"] != "cursor.expired"
            if event["type"] != "cursor":
                self._record(event)
        if "id" in block:
            self.cursor, self.seen = block["id"], position(block["id"])
        block.clear()


class Socket(Reader):
    """A WebSocket, resumed from the last event's id or cursor frame."""

    async def _once(self) -> None:
        port = self._chance.choice(self._cluster.ports)
        url = f"ws://127.0.0.1:{port}/api/v1/events/ws?cursor={self.cursor}&token={self._cluster.token[self._user]}"
        async with websockets.connect(url, open_timeout=20, close_timeout=1) as socket:
            for _ in range(self._chance.randint(5, 200)):
                try:
                    async with asyncio.timeout(1):
                        frame = json.loads(await socket.recv())
                except TimeoutError:
                    break
                assert frame["type"] != "cursor.expired"
                if frame["type"] != "cursor":
                    self._record(frame)
                if frame["id"] is not None:
                    self.cursor, self.seen = frame["id"], position(frame["id"])
        self.cuts += 1


class Wanderer(Poller, Streamer, Socket):
    """Uses a random transport each time, with the cursor of the one before."""

    async def _once(self) -> None:
        await self._chance.choice((Poller, Streamer, Socket))._once(self)


@contextlib.asynccontextmanager
async def reading(*readers: Reader) -> AsyncIterator[None]:
    """Let readers read during the block and until each has read everything, then check each."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for reader in readers:
            tasks.create_task(reader.until_all_is_read(over))
        yield
        over.set()
    for reader in readers:
        reader.check()
