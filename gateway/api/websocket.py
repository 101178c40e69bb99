"""The event log over a WebSocket (RFC 6455): one EVENT a frame."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gateway.api.events import BEGIN, SUBSCRIPTION_QUERY, SubscribingHandler, observe_delivery
from gateway.api.stream import expired_event
from gateway.delivery.subscriptions import Answer, Subscription
from gateway.http.describe import describe
from gateway.http.errors import ProblemError
from metrics import declared as metrics
from models.store.errors import ExpiredError, RefusedError, StoreDownError
from models.sync.catchup import BEGINNING

logger = structlog.get_logger()

CURSOR_INTERVAL_S = 30.0
WRITE_TIMEOUT_S = 20.0
GOING_AWAY, FAILED, TRY_LATER, TOKEN_DEAD = 1001, 1011, 1013, 4401
CODES = {"dead": TOKEN_DEAD, "closing": GOING_AWAY, "superseded": TRY_LATER}
SOCKETS_OPEN = metrics.POLLS_OPEN.labels("ws")


class EventSocket(SubscribingHandler, WebSocketHandler):
    """A WebSocket of events. Frames from the client are read and ignored."""

    def check_origin(self, origin: str) -> bool:
        """Allow pages of this host and of the configured origins."""
        return origin.lower() in self.services.origins or urlsplit(origin).netloc.lower() == self.request.host.lower()

    @describe("Open a WebSocket of events", {101: None}, query=SUBSCRIPTION_QUERY, errors=("forbidden",))
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Answer 101. An invalid parameter is refused before the handshake; an expired cursor is an event after it."""
        with contextlib.suppress(ExpiredError):
            cursor = self.get_query_argument("cursor", None)
            if cursor is not None and cursor != BEGIN:
                self.position(cursor)
        self.types()
        self.follows_posts()
        self._require_handshake()
        await WebSocketHandler.get(self, *args, **kwargs)

    def _require_handshake(self) -> None:
        """Raise ProblemError for a request that Tornado would refuse with an error body of its own format."""
        headers = self.request.headers
        if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in headers.get("Connection", "").lower():
            raise ProblemError("malformed", "the request must be a WebSocket handshake")
        origin = headers.get("Origin")
        if origin is not None and not self.check_origin(origin):
            raise ProblemError("forbidden", "the page's origin is not allowed")

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Start a task that sends events; Tornado reads the client's frames at the same time."""
        self._pump_task = asyncio.ensure_future(self._pump())

    def on_message(self, message: str | bytes) -> None:
        """Ignore a frame of the client."""

    def on_close(self) -> None:
        """End the subscription: the client has disconnected."""
        if self.subscription is not None:
            self.subscription.end("aborted")

    async def _pump(self) -> None:
        """Send events until the subscription ends or fails, and close the WebSocket."""
        SOCKETS_OPEN.inc()
        try:
            subscription = await self._begin()
            while not subscription.end_reason:
                answer = await self.services.hub.next(subscription, CURSOR_INTERVAL_S)
                await self._send(answer)
                observe_delivery(answer, subscription, "ws")
                if not answer.events and not answer.ephemeral and not subscription.end_reason:
                    await self._cursor(answer.position)
            self.close(CODES.get(subscription.end_reason, GOING_AWAY))
        except TimeoutError:
            self.close(TRY_LATER, "reader too slow")
        except (WebSocketClosedError, StreamClosedError):
            return
        except RefusedError:
            self.close(TOKEN_DEAD)
        except StoreDownError:
            self.close(TRY_LATER, "the store is down")
        except Exception:
            logger.exception("websocket_failed", route=self.route)
            self.close(FAILED)
        finally:
            SOCKETS_OPEN.dec()
            self.unsubscribe()

    async def _begin(self) -> Subscription:
        """Subscribe, and send the cursor that the WebSocket starts at and the events that are there."""
        start = await self.start(self.get_query_argument("cursor", None))
        if start.was_expired:
            await self._frame(expired_event(self.services.hub))
        await self._cursor(_before(start.answer) if start.position == BEGINNING else start.position)
        await self._send(start.answer)
        return start.subscription

    async def _send(self, answer: Answer) -> None:
        for event in answer.events:
            await self._frame(self.services.hub.encode(event))
        for data in answer.ephemeral:
            await self._frame(data)

    async def _cursor(self, position: int) -> None:
        await self._frame(msgspec.json.encode({"type": "cursor", "id": self.services.hub.cursor(position)}))

    async def _frame(self, data: bytes) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self.write_message(data.decode())


def _before(first: Answer) -> int:
    """A position from which the same events are read again."""
    return first.events[0].id - 1 if first.events else first.position
