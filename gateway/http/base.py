"""What every handler does the same way: who calls, from where, how large, how often, and what errors look like."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, ClassVar, NoReturn, TypeVar

import msgspec
import structlog
from tornado import httputil, web

from gateway.http import page_cursor
from gateway.http.access_log import Answered
from gateway.http.errors import ProblemError, problem_of
from gateway.http.request import RequestReader
from gateway.http.services import Services
from gateway.http.tokens import COOKIE
from gateway.http.traffic import METHODS
from models.identity.token import Actor
from models.log.event import Transaction
from models.store.database import ID_MAX as ID_MAX
from models.store.errors import DeadTokenError, RefusedError

logger = structlog.get_logger()

BODY_BYTES = 64 * 1024
MESSAGE_BODY_BYTES = 256 * 1024
ADMIN_BODY_BYTES = 2 * 1024 * 1024
JSON = "application/json"
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
T = TypeVar("T")


class Clock:
    """The Date header, made once a second: formatting it costs more than answering."""

    second = 0
    date = ""

    @classmethod
    def now(cls) -> str:
        """RFC 9110, section 6.6.1."""
        second = int(time.time())
        if second != cls.second:
            cls.second, cls.date = second, formatdate(second, usegmt=True)
        return cls.date


class Handler(RequestReader, web.RequestHandler):
    """The base of all routes. `access` says who may call: `public`, `user` or `admin`."""

    access: ClassVar[str] = "user"
    body_limit: ClassVar[int] = BODY_BYTES
    content_types: ClassVar[tuple[str, ...]] = (JSON,)
    rate_limit: ClassVar[str] = "api"
    query_token: ClassVar[bool] = False  # whether ?token= counts, as it does on event endpoints
    route: ClassVar[str] = "unknown"  # the pattern, for metrics
    SUPPORTED_METHODS = METHODS
    services: Services
    actor: Actor
    received_bytes = 0
    stages: dict[str, float] | None = None  # of a send, for its line in the log

    def initialize(self, services: Services, received_bytes: int = 0) -> None:
        """Tornado's hook: what handlers work with."""
        self.services = services
        self.received_bytes = received_bytes
        self.address = ""

    def clear(self) -> None:
        """The headers of an answer that has not begun."""
        headers = httputil.HTTPHeaders()
        headers["Cache-Control"] = "no-store"  # an answer is its caller's alone, and of its moment
        headers["Content-Type"] = JSON
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Date"] = Clock.now()
        headers["X-Request-Id"] = self.request_id()
        self._headers = headers
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"

    def request_id(self) -> str:
        """The client's X-Request-Id when it is a sane one, else one of ours."""
        given = self.request.headers.get("X-Request-Id")
        if given is not None and SANE_REQUEST_ID.fullmatch(given):
            return given
        if not hasattr(self, "_own_id"):
            self._own_id = next(self.application.settings["request_ids"])
        return str(self._own_id)

    def prepare(self) -> Awaitable[None] | None:
        """Size, content type, who calls and how often. Waits only for a token not met before, or for limits."""
        if self.received_bytes > self.body_limit:
            raise ProblemError("too-large", f"at most {self.body_limit} bytes")
        body = self.request.body
        if body and self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in self.content_types:
            raise ProblemError("unsupported-media-type", f"send {self.content_types[0]}")
        if self.services.origins:
            self._allow_origin()
        if self.request.method == "OPTIONS":
            return None
        if self.access == "public":
            return self._limited(None) if self.services.limits.on else None
        try:
            credential = self.credential()
        except DeadTokenError as refusal:
            return self._refuse(refusal)
        actor = self.services.tokens.known(credential)
        if actor is None:
            return self._find(credential)
        self._accept(actor)
        return self._limited(actor) if self.services.limits.on else None

    async def _find(self, credential: str) -> None:
        try:
            actor = await self.services.tokens.find(credential)
        except RefusedError as refusal:
            await self._refuse(refusal)
        else:
            self._accept(actor)
            if self.services.limits.on:
                await self._limited(actor)

    async def _refuse(self, refusal: RefusedError) -> NoReturn:
        """Who is no user is counted by address."""
        if self.services.limits.on:
            await self._limited(None)
        raise refusal

    def _accept(self, actor: Actor) -> None:
        if self.access == "admin" and actor.role != "admin":
            raise ProblemError("forbidden", "for admins")
        self.actor = actor
        self.services.tokens.used(actor, self.client_address())

    async def _limited(self, actor: Actor | None) -> None:
        who = f"user:{actor.user}" if actor is not None else f"address:{self.client_address()}"
        await self.services.limits.hit("api", who)
        if self.rate_limit != "api" and self.request.method not in SAFE_METHODS:
            await self.services.limits.hit(self.rate_limit, who)

    def credential(self) -> str:
        """The token presented. A cookie's counts for unsafe methods only with its XSRF token. Raises DeadTokenError."""
        header = self.request.headers.get("Authorization")
        if header is not None:
            scheme, _, value = header.partition(" ")
            if scheme in ("Bearer", "Token") or scheme.lower() in ("bearer", "token"):
                return value.strip()
            raise DeadTokenError("use Authorization: Bearer TOKEN")
        if self.query_token and (given := self.request.query_arguments.get("token")):
            return given[-1].decode("utf-8", "replace")
        cookie = self.get_cookie(COOKIE)
        if cookie is None:
            raise DeadTokenError("a token is required: Authorization: Bearer TOKEN")
        if self.request.method not in SAFE_METHODS:
            self._check_xsrf()
        return cookie

    def _check_xsrf(self) -> None:
        try:
            self.check_xsrf_cookie()
        except web.HTTPError:
            raise ProblemError("xsrf", "repeat the _xsrf cookie in X-XSRFToken") from None

    def client_address(self) -> str:
        """The peer's address, or what a trusted proxy says of it (X-Forwarded-For, read from the right)."""
        if not self.address:
            self.address = self._resolve_address()
        return self.address

    def over_https(self) -> bool:
        """Whether the client speaks HTTPS, with us or with a trusted proxy (X-Forwarded-Proto)."""
        told = self.services.trusts(self.request.remote_ip or "") and self.request.headers.get("X-Forwarded-Proto")
        return (told or self.request.protocol).lower() == "https"

    def _resolve_address(self) -> str:
        peer = self.request.remote_ip or ""
        forwarded = self.request.headers.get("X-Forwarded-For", "")
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        while hops and self.services.trusts(peer):
            try:
                peer = str(ipaddress.ip_address(hops.pop()))
            except ValueError:
                break
        return peer

    def _allow_origin(self) -> None:
        origin = self.request.headers.get("Origin")
        self.set_header("Vary", "Origin")
        if origin in self.services.origins:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
            if self.request.method == "OPTIONS":
                self.set_header("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
                self.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id, Last-Event-ID")
                self.set_header("Access-Control-Max-Age", "600")

    async def options(self, *_: str) -> None:
        """CORS preflight."""
        self.answer(None, 204)

    def commit(self, run: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run a verb in the next transaction, where the caller's token is checked again."""
        return self.services.committer.call(self.actor.token, run)

    # Answering

    def answer(self, body: Any, status: int = 200) -> None:
        """Ends the request with JSON (bytes are JSON already), or with nothing."""
        if status != 200:
            self.set_status(status)
        if body is None:
            del self._headers["Content-Type"]
            self.finish()
        else:
            self.finish(body if isinstance(body, bytes) else msgspec.json.encode(body))

    def answer_list(self, items: list[Any], position: tuple[Any, ...] | None) -> None:
        """Answer a page of a list; the next page starts after `position`, which is None at the end of the list."""
        self.answer({"items": items, "next": None if position is None else page_cursor.encode(position)})

    def compute_etag(self) -> str | None:
        """None: answers of an API that changes all the time are not worth a hash."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one place that writes error bodies."""
        problem = problem_of(kwargs["exc_info"][1] if "exc_info" in kwargs else None, status_code)
        self.set_status(problem.status)
        self.set_header("Content-Type", "application/problem+json")
        if problem.status == 405:
            unimplemented = web.RequestHandler._unimplemented_method
            allowed = [m for m in self.SUPPORTED_METHODS if getattr(type(self), m.lower()) is not unimplemented]
            self.set_header("Allow", ", ".join(allowed))
        if problem.status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        for name, value in problem.headers.items():
            self.set_header(name, value)
        if self.services.origins:
            self._allow_origin()
        self.finish(problem.body())

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Tornado's, with the status our catalogue gives to the exception."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        super().send_error(problem_of(error, status_code).status, **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Only what is not foreseen is worth a trace."""
        if problem_of(value, 500).status == 500:
            logger.error("unforeseen", route=self.route, request_id=self.request_id(), exc_info=(typ, value, tb))

    def flush(self, include_footers: bool = False) -> Any:
        """While the gateway is stopping, clients are told to connect elsewhere."""
        if self.services.stopping and not self._headers_written and self._status_code != 101:
            self.set_header("Connection", "close")
        return super().flush(include_footers)

    def on_finish(self) -> None:
        """Count the request and log it."""
        actor = getattr(self, "actor", None)
        request = self.request
        self.services.traffic.count(
            Answered(
                request.method or "",
                self.route,
                self.get_status(),
                request.request_time(),
                self.request_id(),
                None if actor is None else actor.user,
                self.stages,
            )
        )


class NotFound(Handler):
    """Whatever has no route."""

    access = "public"

    def prepare(self) -> None:
        """404, whatever the method."""
        raise ProblemError("not-found")
