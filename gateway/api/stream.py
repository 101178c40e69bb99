"""The event log as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec
from tornado.iostream import StreamClosedError

from gateway.api.subscribing import SUBSCRIPTION_QUERY, Start, SubscribingHandler, observe_delivery
from gateway.delivery.hub import Hub
from gateway.delivery.subscriptions import Answer
from gateway.http.connections import is_waiting
from gateway.http.describe import describe
from metrics import declared as metrics
from models.store.clock import now_ms, rfc3339

HEARTBEAT_S = 15.0
STREAMS_OPEN = metrics.POLLS_OPEN.labels("sse")


def expired_event(hub: Hub) -> bytes:
    """The EVENT after which a client loads the state again. The stream continues from the head of the log."""
    data = {"cursor": hub.cursor(hub.head)}
    return msgspec.json.encode({"id": None, "type": "cursor.expired", "at": rfc3339(now_ms()), "data": data})


def cursor_event(hub: Hub, position: int) -> bytes:
    """A position of the log, as the first block of a stream and some frames of a WebSocket have it."""
    return msgspec.json.encode({"type": "cursor", "id": hub.cursor(position)})


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
            await self._send(self._begin(await self.start(cursor)))
            assert self.subscription is not None
            while not self.subscription.end_reason:
                await self._send(await hub.next(self.subscription, HEARTBEAT_S))
        except StreamClosedError:
            return
        finally:
            STREAMS_OPEN.dec()
            self.unsubscribe()

    async def head(self, *_: str) -> None:
        """The headers of the stream."""
        self.set_header("Content-Type", "text/event-stream")
        await super().head()

    def _begin(self, start: Start) -> Answer:
        """Write the first block: the position that the stream begins at, with data, since many clients ignore a block without."""
        hub = self.services.hub
        if start.was_expired:
            self.write(b"data: " + expired_event(hub) + b"\n\n")
        self.write(b"id: %s\ndata: %s\n\n" % (hub.cursor(start.before).encode(), cursor_event(hub, start.before)))
        return start.answer

    def _send(self, answer: Answer) -> Awaitable[None]:
        """Write events and the cursor after them. Returns when the client has received them; keeps no event until then."""
        hub, subscription = self.services.hub, self.subscription
        assert subscription is not None
        for event in answer.events:
            self.write(b"id: %s\ndata: %s\n\n" % (hub.cursor(event.id).encode(), hub.encode(event)))
        for data in answer.ephemeral:
            self.write(b"data: %s\n\n" % data)
        if self._headers_written or answer.events:  # the first block has the cursor already
            self.write(b"id: %s\n\n" % hub.cursor(answer.position).encode())
        sent: Awaitable[None] = self.flush()
        observe_delivery(answer, subscription, "sse")
        if is_waiting(self):
            subscription.fall_behind(answer.position)
        return sent
