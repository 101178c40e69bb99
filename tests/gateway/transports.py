"""Simple clients that receive events over server-sent events and over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.gateway.client import Client
from tests.waiting import LIMIT_S

Event = dict[str, Any]


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()
        self.cursor = ""

    def blocks(self) -> Iterator[Event | None]:
        """Yield the EVENT of each block, or None for a block that only moves the cursor, until the stream ends."""
        data: Event | None = None
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.cursor = value
            elif name == "data":
                data = json.loads(value)
            else:
                assert line == ""  # no other field is sent: events are unnamed
                yield data
                data = None

    def events(self, count: int) -> list[Event]:
        """Return the next `count` events, without presence."""
        events: list[Event] = []
        blocks = self.blocks()
        while len(events) < count:
            event = next(blocks)
            if event is not None and event["type"] not in ("cursor", "presence"):
                events.append(event)
        return events


@contextmanager
def stream(user: Client, headers: dict[str, str] | None = None, **params: Any) -> Iterator[Stream]:
    """Open an event stream. Its headers have arrived, so it receives every event from now on."""
    url = f"{user.gateway.url}/api/v1/events/stream"
    request_headers = {"Authorization": f"Bearer {user.token}", **(headers or {})}
    options: dict[str, Any] = {"timeout": LIMIT_S, "trust_env": False, "verify": False}
    with httpx.stream("GET", url, headers=request_headers, params=params, **options) as answer:
        yield Stream(answer)


def sees_come_online(reader: Client, other: Client, conversation: int) -> None:
    """Check that a user receives the presence of another one of the conversation, who comes online, maybe on another gateway."""
    with stream(reader, types="presence,typing") as opened:
        reader.gateway.waiting(1, "sse")
        online = other.polling(other.now())
        blocks, received = opened.blocks(), []
        while ("presence", True) not in received:
            other.post(f"/conversations/{conversation}/typing", {"typing": True})  # presence by itself wakes no subscriber
            event = next(blocks)
            received += [(event["type"], event.get("data", {}).get("online"))] if event is not None else []
    reader.send("bye", at=conversation)
    online.result()


class Socket:
    """An open WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def frame(self) -> Event:
        """Return the next frame that is not presence."""
        while True:
            frame = dict(json.loads(self.connection.recv(30)))
            if frame["type"] != "presence":
                return frame

    def events(self, count: int) -> list[Event]:
        """Return the next `count` events, without presence."""
        events: list[Event] = []
        while len(events) < count:
            frame = self.frame()
            if frame["type"] != "cursor":
                events.append(frame)
        return events


@contextmanager
def socket(user: Client, headers: dict[str, str] | None = None, query: str = "") -> Iterator[Socket]:
    """Open a WebSocket."""
    url = f"{user.gateway.url}/api/v1/events/ws{query}".replace("http", "ws", 1)
    request_headers = {"Authorization": f"Bearer {user.token}"} if user.token else {}
    with connect(url, additional_headers={**request_headers, **(headers or {})}, proxy=None, close_timeout=5) as connection:
        yield Socket(connection)


def closed(opened: Socket) -> int:
    """Read frames until the gateway closes the socket; return its close code."""
    with suppress(ConnectionClosed):
        while True:
            opened.frame()
    assert opened.connection.close_code is not None
    return opened.connection.close_code
