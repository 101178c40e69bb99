"""The event log over a WebSocket (RFC 6455): one EVENT a frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gateway.api.stream import cursor_event, expired_event
from gateway.api.subscribing import NOT_ACTIVE, SUBSCRIPTION_QUERY, SubscribingHandler, observe_delivery, position_of
from gateway.delivery.subscriptions import Answer, Subscription
from gateway.http.acting import HEADER
from gateway.http.connections import is_waiting, stream_of
from gateway.http.describe import describe
from gateway.http.errors import ProblemError
from metrics import declared as metrics
from models.store.errors import ActingError, ExpiredError, RefusedError, StoreDownError

logger = structlog.get_logger()

CURSOR_INTERVAL_S = 30.0
GOING_AWAY, FAILED, TRY_LATER, TOKEN_DEAD, ACTING_REFUSED = 1001, 1011, 1013, 4401, 4403
CODES = {"dead": TOKEN_DEAD, "closing": GOING_AWAY, "superseded": TRY_LATER, "suspended": ACTING_REFUSED}
REASONS = {"suspended": f"{HEADER}: {NOT_ACTIVE}"}
SOCKETS_OPEN = metrics.POLLS_OPEN.labels("ws")


class EventSocket(SubscribingHandler, WebSocketHandler):
    """A WebSocket of events. Frames from the client are read and ignored."""

    __init__ = WebSocketHandler.__init__  # not that of LeanHandler, which comes first

    def check_origin(self, origin: str) -> bool:
        """Allow pages of this host, of the base URL, whose host a proxy may have rewritten, and of the configured origins."""
        allowed = (*self.services.origins, self.services.own_origin)
        return origin.lower() in allowed or urlsplit(origin).netloc.lower() == self.request.host.lower()

    @describe("Open a WebSocket of events", {101: None}, query=SUBSCRIPTION_QUERY, errors=("forbidden",))
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Answer 101. An invalid parameter is refused before the handshake; an expired cursor is an event after it."""
        with contextlib.suppress(ExpiredError):
            cursor = self.get_query_argument("cursor", None)
            if cursor is not None:
                position_of(self, cursor)
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

    async def head(self, *_: str) -> None:
        """400: a handshake is a GET."""
        raise ProblemError("malformed", "the request must be a WebSocket handshake")

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Start a task that sends events; Tornado reads the client's frames at the same time."""
        stream = stream_of(self)
        if stream is not None:
            stream.on_too_slow = partial(self.close, TRY_LATER, "reader too slow")
        self._pump_task = asyncio.ensure_future(self._pump())

    def on_message(self, message: str | bytes) -> None:
        """Ignore a frame of the client."""

    def on_close(self) -> None:
        """End the subscription: the client has disconnected."""
        if self.subscription is not None:
            self.services.hub.end_one(self.subscription, "aborted")

    async def _pump(self) -> None:
        """Send events until the subscription ends or fails, and close the WebSocket."""
        SOCKETS_OPEN.inc()
        try:
            subscription = await self._begin()
            while not subscription.end_reason:
                await self._send(subscription, await self.services.hub.next(subscription, CURSOR_INTERVAL_S))
            self.close(CODES.get(subscription.end_reason, GOING_AWAY), REASONS.get(subscription.end_reason))
        except (WebSocketClosedError, StreamClosedError):
            return
        except ActingError as refusal:
            self.close(ACTING_REFUSED, f"{HEADER}: {refusal.detail}")
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
        await self._frame(cursor_event(self.services.hub, start.before))
        subscription = start.subscription
        if start.answer.events or start.answer.ephemeral:
            sending = self._send(subscription, start.answer)
            del start  # `_send` keeps no event longer than necessary
            await sending
        return subscription

    async def _send(self, subscription: Subscription, answer: Answer) -> None:
        """Send a frame for each event, or the cursor if there is none. What a slow client can't receive is read again later."""
        hub = self.services.hub
        for event in answer.events:
            sent = self._frame(hub.encode(event))
            if is_waiting(self):
                subscription.fall_behind(event.id)
                del answer, event
                await sent
                return
            await sent
        observe_delivery(answer, subscription, "ws")
        for data in answer.ephemeral:
            await self._frame(data)
        if not answer.events and not answer.ephemeral and not subscription.end_reason:
            await self._frame(cursor_event(hub, answer.position))

    def _frame(self, data: bytes) -> Awaitable[None]:
        return self.write_message(data.decode())
