"""Reading the log on and on: from where, over which transport, and what becomes of a broken connection or an expired cursor."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from bellwire_client.backoff import Backoff
from bellwire_client.blocks import Blocks
from bellwire_client.errors import BellwireError, ProblemError, UnexpectedAnswerError, UnreachableError
from bellwire_client.reading import read
from bellwire_client.shapes import Event, Reset, State
from bellwire_client.steps import Close, Pause, Receive, Request, Steps, ask

Transport = Literal["poll", "sse", "ws"]
Frame: TypeAlias = tuple[str | None, dict[str, Any] | None]  # a cursor, an EVENT; None where there is none
Moved: TypeAlias = tuple[str, Event | Reset | None]  # the place that is reached when it has been handled
POLL_TIMEOUT_S = 25  # most proxies cut idle connections at 60 s, some at 30
SLACK_S = 15.0  # for an answer that is on its way
QUIET_S = {"sse": 45.0, "ws": 75.0}  # the server says something every 15 and 30 seconds: a link that is silent for longer is dead
EARLY_S = 1.0  # an empty answer that comes sooner made room for another poll of the same user
PATHS = {"sse": "/events/stream", "ws": "/events/ws"}
EXPIRED = 410
AGAIN = range(500, 600)  # whoever waits for events outlasts any failure of the server


class _Expired(Exception):
    """A stream began with `cursor.expired`."""


class Feed:
    """One reader's way through the log.

    `cursor` is the place up to which events were handed out, the current one included: kept, and given back to `events`, it goes on
    from there, on any gateway and transport. None until the state has come, when the caller gave none. Raises BellwireError when a
    package is missing.
    """

    def __init__(self, cursor: str | None, types: Collection[str], follow_posts: bool, transport: Transport) -> None:
        if transport == "ws" and find_spec("websockets") is None:
            raise BellwireError("WebSockets need one more package: pip install 'bellwire-client[ws]'")
        self.cursor = cursor
        self._transport = transport
        wanted = [types] if isinstance(types, str) else types  # a string is a collection of strings, too
        self._params = {"types": ",".join(wanted) or None, "follow": "posts" if follow_posts else None}
        self._link: Any = None
        self._blocks = Blocks()
        self._waits = Backoff()

    def load(self) -> Steps[list[Moved]]:
        """What comes next: perhaps nothing, but it has waited for it. The state, when there is no cursor or it has expired. Goes on
        trying while the server is away.

        Raises UnauthorizedError when the token is dead, and ProblemError for what would be refused again.
        """
        try:
            if self.cursor is not None:
                frames = yield from (self._poll() if self._transport == "poll" else self._receive())
                return list(self._moves(frames))
        except ProblemError as error:
            if error.status != EXPIRED:
                raise
        except _Expired:
            yield from self.close()
        state = read(State, (yield from ask(Request("GET", "/state"), math.inf, AGAIN)).body)
        return [(state.cursor, Reset(state))]

    def close(self) -> Steps[None]:
        """Lets go of an open stream. Loading again goes on from `cursor`."""
        if self._link is not None:
            link, self._link = self._link, None
            yield Close(link)

    def _moves(self, frames: Iterable[Frame]) -> Iterator[Moved]:
        place = self.cursor or ""
        for cursor, event in frames:
            place = cursor or place
            if event is not None and event.get("type") == "cursor.expired":
                raise _Expired
            yield place, None if event is None else read(Event, event)

    def _poll(self) -> Steps[list[Frame]]:
        params = {**self._params, "cursor": self.cursor, "timeout": POLL_TIMEOUT_S}
        began = time.monotonic()
        asked = Request("GET", "/events", params=params, timeout_s=POLL_TIMEOUT_S + SLACK_S)
        body = (yield from ask(asked, math.inf, AGAIN)).body
        reached = _cursor(body)
        frames: list[Frame] = [(event["id"], event) for event in body.get("events", ())]
        if not frames and not body.get("more") and time.monotonic() - began < EARLY_S:
            yield Pause(EARLY_S * random.uniform(0.5, 1))
        return [*frames, (reached, None)]

    def _receive(self) -> Steps[list[Frame]]:
        if self._link is None:
            yield from self._open()
        try:
            received = yield Receive(self._link)
        except UnreachableError:
            yield from self.close()
            yield Pause(self._waits.next_s())
            return []
        self._waits.reset()
        return self._blocks.take(received) if isinstance(received, bytes) else [_frame(received)]

    def _open(self) -> Steps[None]:
        transport = self._transport
        assert transport != "poll"
        params = {**self._params, "cursor": self.cursor}
        asked = Request("GET", PATHS[transport], params=params, timeout_s=QUIET_S[transport], stream=transport)
        self._link = (yield from ask(asked, math.inf, AGAIN)).link
        self._blocks = Blocks()


def _cursor(body: Any) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("cursor"), str):
        raise UnexpectedAnswerError("no events of Bellwire: is the address right?")
    return str(body["cursor"])


def _frame(text: str) -> Frame:
    """A WebSocket's frame is an EVENT, or a cursor alone."""
    found = json.loads(text)
    return found["id"], None if found["type"] == "cursor" else found
