"""The open long polls. Thousands of them wait, so one keeps little, and the hub answers it without a task.

While a poll waits, its handler, its task and its headers are gone. Only its connection is kept, and what the answer needs of the
request: from these a handler is made again.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from tornado.httputil import HTTPHeaders, RequestStartLine

from gateway.api.subscribing import NOT_ACTIVE, SubscribingHandler, observe_delivery
from gateway.delivery.hub import Hub
from gateway.delivery.subscriptions import Answer, Subscription
from gateway.http.access_log import AnsweredRequest
from gateway.http.acting import HEADER as ACTING_HEADER
from gateway.http.connections import AnswerConnection, client_of
from gateway.http.handling import JSON, VALID_REQUEST_ID, DateHeader
from gateway.http.routing import Request
from metrics import declared as metrics
from models.store.errors import ActingError

OUTCOMES = {o: metrics.POLL_SECONDS.labels(o) for o in ("events", "empty", "gone", "aborted")}
POLLS_OPEN = metrics.POLLS_OPEN.labels("poll")
REQUEST_ID = "X-Request-Id"
KEPT_HEADERS = (REQUEST_ID, "Origin", "X-Forwarded-For", "X-Forwarded-Proto", ACTING_HEADER)
UNUSUAL_ENDS = ("dead", "suspended", "aborted")

_refusing: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references to tasks


class OpenPoll:
    """A poll, from its request until its client has received the answer."""

    __slots__ = ("_actor", "_application", "_began", "_connection", "_headers", "_kind", "_services", "_started", "_subscription")

    def __init__(self) -> None:
        self._began = time.perf_counter()  # 0 when the poll has ended
        POLLS_OPEN.inc()

    def wait(self, handler: SubscribingHandler, subscription: Subscription, timeout_s: float) -> None:
        """Answer when events arrive, the subscription has ended, or the time is over. Nothing need keep the handler."""
        request = handler.request
        assert request.connection is not None
        self._kind, self._application, self._services = type(handler), handler.application, handler.services
        self._actor, self._subscription = handler.actor, subscription
        self._connection, self._started = request.connection, request._start_time
        self._headers = tuple((name, request.headers[name]) for name in KEPT_HEADERS if name in request.headers)
        self._headers += (("Authorization", f"Bearer {handler.credential()}"),)  # the reason why it ended is found with it
        handler.subscription = None
        self._connection.set_close_callback(self._on_close)  # type: ignore[attr-defined]
        handler.services.hub.wait(subscription, timeout_s, self._go_on)

    def _on_close(self) -> None:
        self._services.hub.end_one(self._subscription, "aborted")

    def _go_on(self) -> None:
        """Answer: at once and without a handler if nothing about the answer is unusual."""
        subscription, services = self._subscription, self._services
        answer = services.hub.collect(subscription)
        is_unusual = services.origins or services.stopping or self._actor.by_admin or subscription.end_reason in UNUSUAL_ENDS
        if isinstance(self._connection, AnswerConnection) and not is_unusual:
            self._answer_whole(self._connection, answer)
        else:
            self._answer_by_handler(self._handler(), answer)

    def _answer_whole(self, connection: AnswerConnection, answer: Answer) -> None:
        try:
            body = encoded(self._services.hub, answer)
        except Exception as error:
            self._fail(self._handler(), error)
            return
        request_id = self._request_id()
        client = client_of(connection)
        if client is not None:
            client.set_caller(self._actor.user)
        lines = f"{request_id}\r\nContent-Length: {len(body)}\r\n".encode()
        sent = connection.answer(DateHeader.head(200, "OK", JSON) + lines, body)
        now = time.time()
        answered = AnsweredRequest("GET", self._kind.route, 200, now - self._started, request_id, now, self._actor.user)
        self._services.traffic.count(answered)
        observe_delivery(answer, self._subscription, "poll")
        self._services.hub.unregister(self._subscription)
        self._end_when_sent(_outcome(answer), asyncio.ensure_future(sent))

    def _request_id(self) -> str:
        """That of the client, or one of the gateway's, as `Handler.request_id`."""
        known = dict(self._headers).get(REQUEST_ID, "") if self._headers else ""
        return known if VALID_REQUEST_ID.fullmatch(known) else str(next(self._application.settings["request_ids"]))

    def _answer_by_handler(self, handler: SubscribingHandler, answer: Answer) -> None:
        if self._subscription.end_reason == "dead":
            task = asyncio.create_task(self._refuse(handler, answer))
            _refusing.add(task)
            task.add_done_callback(_refusing.discard)
            return
        try:
            self._finish(handler, self._subscription, answer)
        except Exception as error:
            self._fail(handler, error)

    def _handler(self) -> SubscribingHandler:
        """A handler with what was kept of the request."""
        start_line = RequestStartLine("GET", self._kind.route, "HTTP/1.0")  # which needs no Host
        request = Request(self._connection, None, start_line, HTTPHeaders(dict(self._headers)))
        request._start_time = self._started
        handler = self._kind(self._application, request, services=self._services)
        handler._transforms = []
        handler.actor, handler.subscription = self._actor, self._subscription
        if self._services.origins:
            handler.allow_origin()
        return handler

    async def _refuse(self, handler: SubscribingHandler, answer: Answer) -> None:
        try:
            await self.answer(handler, self._subscription, answer)
        except Exception as error:
            self._fail(handler, error)

    def _fail(self, handler: SubscribingHandler, error: Exception) -> None:
        """Answer an exception as one of a verb is."""
        self.end("gone")
        handler.unsubscribe()
        handler._handle_request_exception(error)

    async def answer(self, handler: SubscribingHandler, subscription: Subscription, answer: Answer) -> None:
        """Write the answer. Raises RefusedError if the subscription has ended by its token, or ActingError."""
        if subscription.end_reason == "dead":
            await handler.refuse_ended()
        self._finish(handler, subscription, answer)

    def _finish(self, handler: SubscribingHandler, subscription: Subscription, answer: Answer) -> None:
        if subscription.end_reason == "aborted":
            self.end("aborted")
            handler.unsubscribe()
            handler.finish()  # for the log and the metrics
            return
        if subscription.end_reason == "suspended":
            raise ActingError(NOT_ACTIVE)
        sent = handler.answer(encoded(handler.services.hub, answer))
        observe_delivery(answer, subscription, "poll")
        handler.unsubscribe()
        self._end_when_sent(_outcome(answer), asyncio.ensure_future(sent))

    def _end_when_sent(self, outcome: str, sent: asyncio.Future[None]) -> None:
        if sent.done():
            self.end("aborted" if sent.cancelled() or sent.exception() is not None else outcome)
        else:
            sent.add_done_callback(partial(self._end_when_sent, outcome))

    def end(self, outcome: str) -> None:
        """Count the poll as ended, once."""
        began, self._began = self._began, 0.0
        if began:
            POLLS_OPEN.dec()
            OUTCOMES[outcome].observe(time.perf_counter() - began)


def _outcome(answer: Answer) -> str:
    return "events" if answer.events or answer.ephemeral else "empty"


def encoded(hub: Hub, answer: Answer) -> bytes:
    """The body of an answer. That of many readers of one event is encoded once, and kept until the next event is published."""
    known = hub.encoded_answer
    if known is not None and known[0] == answer:
        return known[1]
    parts = [hub.encode(event) for event in answer.events] + answer.ephemeral
    more = b"true}" if answer.more else b"false}"
    body = b"".join((b'{"events":[', b",".join(parts), b'],"cursor":"', hub.cursor(answer.position).encode(), b'","more":', more))
    if not answer.more:  # a position in the past is one reader's
        hub.encoded_answer = answer, body
    return body
