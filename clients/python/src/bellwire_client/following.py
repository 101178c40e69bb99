"""Reading the event log without an end: transports, broken connections and expired cursors."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bellwire_client.backoff import Backoff
from bellwire_client.errors import BellwireError, ProblemError, UnexpectedAnswerError, UnreachableError
from bellwire_client.reading import read
from bellwire_client.shapes import Event, Reset, State
from bellwire_client.sse import SseParser
from bellwire_client.steps import Close, Pause, Receive, Request, Steps, send_with_retries

Transport = Literal["poll", "sse", "ws"]
Frame: TypeAlias = tuple[str | None, dict[str, Any] | None]  # (cursor, EVENT); either may be missing
Position: TypeAlias = tuple[str, Event | Reset | None]  # an event, and the cursor after it
POLL_TIMEOUT_S = 25  # most proxies cut idle connections at 60 s, some at 30
POLL_SLACK_S = 15.0  # for the answer to arrive
SILENCE_TIMEOUT_S = {"sse": 45.0, "ws": 75.0}  # the server sends a heartbeat every 15 and 30 s
EARLY_ANSWER_S = 1.0  # an earlier empty answer: the server ended this poll for another one of the same user
PATHS = {"sse": "/events/stream", "ws": "/events/ws"}
CURSOR_EXPIRED = 410
SERVER_ERRORS = range(500, 600)  # a reader of events waits until the server works again


class _CursorExpired(Exception):
    """A stream began with `cursor.expired`."""


class Feed:
    """One reader of the event log.

    `cursor` is the cursor after the last event that was returned. Stored, and passed to `events` later, it continues there, on any
    gateway and transport. It is None before the state has arrived, if the caller passed none. With `cursor_file` it is read from
    this file, if there is one, and written there after each event that was handled. Raises BellwireError when a package is missing.
    """

    def __init__(
        self,
        cursor: str | None,
        types: Collection[str],
        follow_posts: bool,
        transport: Transport,
        cursor_file: str | os.PathLike[str] | None,
    ) -> None:
        if transport == "ws" and find_spec("websockets") is None:
            raise BellwireError("the transport ws needs the extra `ws` of bellwire-client: pip install websockets")
        self._cursor_file = None if cursor_file is None else Path(cursor_file)
        self.cursor = self._stored_cursor() or cursor
        self._saved_cursor = self.cursor
        self._transport = transport
        type_names = [types] if isinstance(types, str) else types  # a string is a collection of strings, too
        self._params = {"types": ",".join(type_names) or None, "follow": "posts" if follow_posts else None}
        self._link: Any = None
        self._parser = SseParser()
        self._backoff = Backoff()

    def load(self) -> Steps[list[Position]]:
        """Wait for events and return them; the list may be empty. Without a cursor, or with an expired one, return the state.

        Repeats failed calls while the server cannot be reached. Raises UnauthorizedError when the token is no longer valid, and
        ProblemError for other refusals.
        """
        try:
            if self.cursor is not None:
                frames = yield from (self._poll() if self._transport == "poll" else self._receive())
                return list(self._positions(frames))
        except ProblemError as error:
            if error.status != CURSOR_EXPIRED:
                raise
        except _CursorExpired:
            yield from self.close()
        state = read(State, (yield from send_with_retries(Request("GET", "/state"), math.inf, SERVER_ERRORS)).body)
        return [(state.cursor, Reset(state))]

    def save(self) -> None:
        """Write the cursor to its file, after the event before it was handled. A reader sees the old one or the new one."""
        if self._cursor_file is not None and self.cursor != self._saved_cursor:
            new_file = self._cursor_file.with_name(self._cursor_file.name + ".new")
            new_file.write_text(f"{self.cursor}\n")
            new_file.replace(self._cursor_file)
            self._saved_cursor = self.cursor

    def _stored_cursor(self) -> str | None:
        """The cursor of the file, None if there is none yet."""
        if self._cursor_file is None or not self._cursor_file.exists():
            return None
        return self._cursor_file.read_text().strip() or None

    def close(self) -> Steps[None]:
        """Close an open stream. Another load continues after `cursor`."""
        if self._link is not None:
            link, self._link = self._link, None
            yield Close(link)

    def _positions(self, frames: Iterable[Frame]) -> Iterator[Position]:
        position = self.cursor or ""
        for cursor, event in frames:
            position = cursor or position
            if event is not None and event.get("type") == "cursor.expired":
                raise _CursorExpired
            yield position, None if event is None else read(Event, event)

    def _poll(self) -> Steps[list[Frame]]:
        params = {**self._params, "cursor": self.cursor, "timeout": POLL_TIMEOUT_S}
        start = time.monotonic()
        request = Request("GET", "/events", params=params, timeout_s=POLL_TIMEOUT_S + POLL_SLACK_S)
        body = (yield from send_with_retries(request, math.inf, SERVER_ERRORS)).body
        cursor = _cursor(body)
        frames: list[Frame] = [(event["id"], event) for event in body.get("events", ())]
        if not frames and not body.get("more") and time.monotonic() - start < EARLY_ANSWER_S:
            yield Pause(EARLY_ANSWER_S * random.uniform(0.5, 1))
        return [*frames, (cursor, None)]

    def _receive(self) -> Steps[list[Frame]]:
        if self._link is None:
            yield from self._open()
        try:
            received = yield Receive(self._link)
            if not received:
                raise UnreachableError("the stream ended")
        except UnreachableError:
            yield from self.close()
            yield Pause(self._backoff.next_s())
            return []
        self._backoff.reset()
        frames = self._parser.feed(received) if isinstance(received, bytes) else [_frame(received)]
        return [(cursor, None if event is None or event["type"] == "cursor" else event) for cursor, event in frames]

    def _open(self) -> Steps[None]:
        transport = self._transport
        assert transport != "poll"
        params = {**self._params, "cursor": self.cursor}
        request = Request("GET", PATHS[transport], params=params, timeout_s=SILENCE_TIMEOUT_S[transport], stream=transport)
        self._link = (yield from send_with_retries(request, math.inf, SERVER_ERRORS)).link
        self._parser = SseParser()


def _cursor(body: Any) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("cursor"), str):
        raise UnexpectedAnswerError("these are not events of Bellwire: is the address right?")
    return str(body["cursor"])


def _frame(text: str) -> Frame:
    data = json.loads(text)
    return data["id"], data
