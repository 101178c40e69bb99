"""The event log as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio

import msgspec
from tornado.iostream import StreamClosedError

from gateway.api.events import SUBSCRIPTION_QUERY, SubscribingHandler, observe_delivery
from gateway.delivery.hub import Hub
from gateway.delivery.subscriptions import Answer
from gateway.http.describe import describe
from metrics import declared as metrics
from models.store.clock import now_ms, rfc3339

HEARTBEAT_S = 15.0
FLUSH_TIMEOUT_S = 60.0  # a client that reads nothing for so long is disconnected
STREAMS_OPEN = metrics.POLLS_OPEN.labels("sse")


def expired_event(hub: Hub) -> bytes:
    """The EVENT after which a client loads the state again. The stream continues from the head of the log."""
    data = {"cursor": hub.cursor(hub.head)}
    return msgspec.json.encode({"id": None, "type": "cursor.expired", "at": rfc3339(now_ms()), "data": data})


class EventStream(SubscribingHandler):
    """An event stream of unnamed events, which resumes at Last-Event-ID or `?cursor=`."""

    @describe("Stream events", {200: "text/event-stream"}, query=SUBSCRIPTION_QUERY)
    async def get(self) -> None:
        """Answer 200 text/event-stream, until the client disconnects, its token is revoked or the gateway stops."""
        hub = self.services.hub
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        cursor = self.request.headers.get("Last-Event-ID") or self.get_query_argument("cursor", None)
        STREAMS_OPEN.inc()
        try:
            start = await self.start(cursor)
            subscription = start.subscription
            if start.was_expired:
                self.write(b"data: " + expired_event(hub) + b"\n\n")
            await self._send(start.answer)
            while not subscription.end_reason:
                answer = await hub.next(subscription, HEARTBEAT_S)
                await self._send(answer)
                observe_delivery(answer, subscription, "sse")
        except (StreamClosedError, TimeoutError):
            return
        finally:
            STREAMS_OPEN.dec()
            self.unsubscribe()

    async def _send(self, answer: Answer) -> None:
        hub = self.services.hub
        for event in answer.events:
            self.write(b"id: %s\ndata: %s\n\n" % (hub.cursor(event.id).encode(), hub.encode(event)))
        for data in answer.ephemeral:
            self.write(b"data: %s\n\n" % data)
        self.write(b"id: %s\n\n" % hub.cursor(answer.position).encode())
        async with asyncio.timeout(FLUSH_TIMEOUT_S):
            await self.flush()
