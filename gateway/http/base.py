"""The base of all handlers: the limits of a request, its answer, and the form of errors."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, ParamSpec, TypeVar

import msgspec
import structlog
from tornado import web

from gateway.http import page_cursor
from gateway.http.access_log import AnsweredRequest
from gateway.http.acting import HEADER as ACTING_HEADER
from gateway.http.acting import Acting
from gateway.http.client_address import limited_as
from gateway.http.connections import stream_of
from gateway.http.errors import ProblemError, problem_of
from gateway.http.handling import JSON, LeanHandler
from gateway.http.page_cursor import IdPosition
from gateway.http.request import RequestReader
from gateway.http.services import Services
from gateway.http.user_references import UserReferences
from models.identity import contacts, token
from models.identity.contacts import EVERYONE, Bound
from models.identity.external_id import PREFIX
from models.identity.token import Actor
from models.log.event import Transaction

logger = structlog.get_logger()

BODY_BYTES = 64 * 1024
MESSAGE_BODY_BYTES = 256 * 1024
ADMIN_BODY_BYTES = 2 * 1024 * 1024
CORS_HEADERS = f"Authorization, Content-Type, X-Request-Id, Last-Event-ID, {ACTING_HEADER}"  # of requests from other origins
MAX_BYTES_PER_ANSWER = 1024 * 1024  # of the items of a list; a single item may be larger
MAX_ASSEMBLED_BYTES = 8 * 1024 * 1024  # of all lists that wait for further items: beyond it they end with the items they have
MAX_ITEMS_PER_FIRST_READ = 20  # of a list; a later read is for as many items as would fit if they were like the first
P = ParamSpec("P")
T = TypeVar("T")
ReadItems = Callable[[Any, int], Awaitable[Sequence[tuple[tuple[Any, ...], Any]]]]
ReadItemsById = Callable[[int | None, int], Awaitable[Sequence[Any]]]


class Handler(Acting, RequestReader, UserReferences, LeanHandler):
    """The base of all routes."""

    body_limit: ClassVar[int] = BODY_BYTES
    content_types: ClassVar[tuple[str, ...]] = (JSON,)
    streams_body: ClassVar[bool] = False  # whether `post` reads its body while it arrives: gateway/http/streaming.py
    is_paced: ClassVar[bool] = False  # whether only some of these requests begin in a tick of the loop: gateway/http/pacing.py
    route: ClassVar[str] = "unknown"  # the pattern, for metrics and log
    address = ""
    received_bytes = 0
    written_events = written_bytes = 0  # of the caller's quotas
    stages: dict[str, float] | None = None  # of a send, for its log line

    def initialize(self, services: Services, received_bytes: int = 0) -> None:
        """Tornado's hook, in the place of __init__."""
        self.services = services
        self.received_bytes = received_bytes

    def prepare(self) -> Awaitable[None] | None:
        """Check size, content type, caller and rate limits before the verb runs."""
        if self.received_bytes > self.body_limit:
            raise ProblemError("too-large", f"the request body must be at most {self.body_limit} bytes")
        if self.request.header("Content-Encoding") is not None:
            raise ProblemError("unsupported-media-type", "the request must not have a Content-Encoding")
        if self.request.body and not self._accepts(self.request.header("Content-Type") or ""):
            raise ProblemError("unsupported-media-type", f"Content-Type must be {self.content_types[0]}")
        if self.services.origins:
            self.allow_origin()
        if self.request.method == "OPTIONS":
            return None
        authenticated = self.authenticate()
        if self.has_user_in_path and self.path_args[-1].startswith(PREFIX):
            return self.resolve_path(authenticated)
        return authenticated

    def _accepts(self, content_type: str) -> bool:
        """Whether a body may have this content type, with or without parameters."""
        return content_type in self.content_types or content_type.partition(";")[0].strip().lower() in self.content_types

    def allow_origin(self) -> None:
        """Set the headers by which a browser lets pages of configured origins read the answer."""
        origin = self.request.header("Origin")
        self.set_header("Vary", "Origin")
        if origin in self.services.origins:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
            if self.request.method == "OPTIONS":
                self.set_header("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
                self.set_header("Access-Control-Allow-Headers", CORS_HEADERS)
                self.set_header("Access-Control-Max-Age", "600")

    async def head(self, *args: str) -> None:
        """The headers of GET."""
        answering = self.get(*args)
        if answering is not None:
            await answering

    async def options(self, *_: str) -> None:
        """CORS preflight."""
        self.answer(None, 204)

    def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function on a reader thread, after the earlier ones of the caller's account."""
        return self.services.read.of_account(self.actor.user, function, *args, **kwargs)

    def commit(self, run: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run a function in the next transaction, where the caller's token is checked again."""
        return self.submit(partial(self._run_and_measure, run)).future

    def _run_and_measure(self, run: Callable[[Transaction], T], tx: Transaction) -> T:
        before = len(tx.events)
        result = run(tx)
        events = tx.events[before:]
        size = len(self.request.body) + sum(len(event.data) for event in events)
        self.count_written(max(1, len(events)), size)  # a write without an event is a row nevertheless
        return result

    def bound(self) -> Bound | None:
        """The caller, if the setting `contacts` hides users from them: None for admins, and for those as whom an admin acts."""
        actor, setting = self.actor, self.services.settings.contacts
        if setting == EVERYONE:
            return None
        return contacts.bound(setting, actor.user, is_admin=actor.role == "admin" or actor.by_admin > 0)

    def bound_in(self, tx: Transaction) -> Bound | None:
        """The same inside a transaction, by the role that the token has there."""
        if self.services.settings.contacts == EVERYONE:
            return None
        _, role = token.check_actor(tx, self.actor.token)
        return contacts.bound(self.services.settings.contacts, self.actor.user, is_admin=role == "admin")

    def count_written(self, events: int, size: int) -> None:
        """Count events and bytes, of rows and events, towards the caller's quotas."""
        self.written_events += events
        self.written_bytes += size

    # Answers

    def set_cookie(self, name: str, value: str | bytes, **options: Any) -> None:  # type: ignore[override]
        """Set a cookie, which browsers send over HTTPS only if that is what clients use; the XSRF cookie of Tornado, too."""
        super().set_cookie(name, value, **{"secure": self.over_https(), **options})

    def answer(self, body: Any, status: int = 200) -> Awaitable[None]:
        """Finish the request with JSON (bytes are JSON already), or without a body (None). Returns when the answer is sent."""
        if status != 200:
            self.set_status(status)
        if body is None:
            self.clear_header("Content-Type")
        elif not isinstance(body, bytes):
            body = msgspec.json.encode(body)
        sent: Awaitable[None] = self.finish(body)
        return sent

    async def answer_list(
        self, read: ReadItems, start: tuple[Any, ...] | None, limit: int, rest: tuple[Any, ...] | None = None, **fields: Any
    ) -> None:
        """Answer a page of a list, from `start` on: at most `limit` items, and about MAX_BYTES_PER_ANSWER.

        `read(position, count)` returns up to `count` (position, item) after a position. It is called for a few items at a time, so
        that long ones do not use much memory. `rest`: where the list goes on after all that `read` returns. `fields` are further
        fields of the answer.
        """
        parts: list[bytes] = []
        size, position, has_more = 0, start, True
        while has_more and len(parts) < limit and self._fits_budget(size):
            fitting = len(parts) * (MAX_BYTES_PER_ANSWER - size) // size if size else MAX_ITEMS_PER_FIRST_READ
            count = max(1, min(limit - len(parts), fitting))
            with self._counted(size):
                items = await read(position, count + 1)
            has_more = len(items) > count
            for item_position, item in items[:count]:
                part = msgspec.json.encode(item)
                if parts and size + len(part) > MAX_BYTES_PER_ANSWER:
                    size, has_more = MAX_BYTES_PER_ANSWER, True
                    break
                parts.append(part)
                size, position = size + len(part), item_position
        if rest is not None and not has_more:
            position, has_more = rest, True
        following = page_cursor.encode(position) if has_more and position is not None else None
        page = {"items": msgspec.Raw(b"[" + b",".join(parts) + b"]"), "next": following, **fields}
        self.answer(msgspec.json.encode(page))

    def _fits_budget(self, size: int) -> bool:
        """Whether a list with items of so many bytes may wait for further items."""
        is_within_budget = self.services.assembled_bytes + size <= MAX_ASSEMBLED_BYTES
        return size == 0 or (size < MAX_BYTES_PER_ANSWER and is_within_budget)

    @contextmanager
    def _counted(self, size: int) -> Iterator[None]:
        self.services.assembled_bytes += size
        try:
            yield
        finally:
            self.services.assembled_bytes -= size

    async def answer_list_by_id(self, read: ReadItemsById, rest: int | None = None, **fields: Any) -> None:
        """Answer the requested page of a list that is sorted by id. `read(after, count)` returns up to `count` items. `rest`: as
        for `answer_list`."""
        start, limit = self.query_page_id()

        async def read_items(position: IdPosition | None, count: int) -> list[tuple[IdPosition, Any]]:
            items = await read(None if position is None else position.id, count)
            return [(IdPosition(item["id"] if isinstance(item, dict) else item.id), item) for item in items]

        position = None if start is None else IdPosition(start)
        await self.answer_list(read_items, position, limit, None if rest is None else IdPosition(rest), **fields)

    def compute_etag(self) -> str | None:
        """Tornado's hook. None: answers of the API change too often to be worth a hash."""
        return None

    def begin_answer(self) -> None:
        """Count what the client has to receive for the caller. While the gateway is stopping, make clients connect elsewhere."""
        stream = stream_of(self)
        if stream is not None:
            stream.set_caller(self.actor.user if hasattr(self, "actor") else limited_as(self.client_address()))
        if self.services.stopping and self._status_code != 101:
            self.set_header("Connection", "close")

    def on_finish(self) -> None:
        """Count the request and log it."""
        actor: Actor | None = getattr(self, "actor", None)
        request, status = self.request, self._status_code
        if self.written_events and actor is not None and self.services.rate_limits.enabled:
            self.services.rate_limits.count_written(actor.counted_user, self.written_events, self.written_bytes)
        if actor is not None and actor.by_admin and status < 400:
            self.record_acting()
        now = time.time()
        user = None if actor is None else actor.user
        seconds = now - request._start_time
        answered = AnsweredRequest(request.method or "", self.route, status, seconds, self.request_id(), now, user, self.stages)
        is_known = (actor is not None or self.access == "public") and status != 405
        self.services.traffic.count(answered, is_known=is_known)

    # Errors

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tornado's hook: the one place that writes error bodies."""
        problem = problem_of(kwargs["exc_info"][1] if "exc_info" in kwargs else None, status_code)
        self.set_status(problem.status, problem.title)
        self.set_header("Content-Type", "application/problem+json")
        if problem.status == 405:
            unimplemented = web.RequestHandler._unimplemented_method
            verbs = {method: "get" if method == "HEAD" else method.lower() for method in self.SUPPORTED_METHODS}
            allowed = [method for method, verb in verbs.items() if getattr(type(self), verb) is not unimplemented]
            self.set_header("Allow", ", ".join(allowed))
        if problem.status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        for name, value in problem.headers.items():
            self.set_header(name, value)
        if self.services.origins:
            self.allow_origin()
        self.finish(self.error_body(problem))

    def error_body(self, problem: ProblemError) -> bytes:
        """The body of an error, after its headers were set."""
        return problem.body()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Tornado's hook: answer with the status that the catalogue of errors has for the exception."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        super().send_error(problem_of(error, status_code).status, **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Tornado's hook: log unexpected exceptions only."""
        if problem_of(value, 500).status == 500:
            logger.error("unexpected_error", route=self.route, request_id=self.request_id(), exc_info=(typ, value, tb))
