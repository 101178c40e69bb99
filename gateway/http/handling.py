"""Tornado's handler without what only templates and output transforms need, and with whole answers.

The head of an answer without unusual headers is a block of bytes, encoded once a second for each status and content type, and a few
lines. All other answers, and all on Tornado's own connections, are written by Tornado.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Sequence
from email.utils import formatdate
from typing import Any, ClassVar

import structlog
from tornado import httputil, web

from gateway.http.connections import AnswerConnection
from gateway.http.routing import Request
from gateway.http.traffic import METHODS

logger = structlog.get_logger()

JSON = "application/json"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
VERBS = {method: method.lower() for method in METHODS}
ADDED_HEADERS = {  # which are lines in an answer, and nothing else
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Allow",
    "Retry-After",
    "Vary",
    "Www-Authenticate",
}
_running: dict[web.RequestHandler, asyncio.Task[None]] = {}  # the loop itself keeps only weak references to tasks


class DateHeader:
    """The Date header (RFC 9110, section 6.6.1), formatted once a second: formatting it costs more than answering."""

    second = 0
    text = ""
    heads: ClassVar[dict[tuple[int, str, str], bytes]] = {}  # of this second's answers, by status, reason and content type

    @classmethod
    def now(cls) -> str:
        """The header's value."""
        second = int(time.time())
        if second != cls.second:
            cls.second, cls.text = second, formatdate(second, usegmt=True)
            cls.heads.clear()
        return cls.text

    @classmethod
    def head(cls, status: int, reason: str, content_type: str) -> bytes:
        """The beginning of an answer's head, up to the value of X-Request-Id. An empty content type: none."""
        date = cls.now()
        head = cls.heads.get((status, reason, content_type))
        if head is None:
            lines = [f"HTTP/1.1 {status} {reason}", "Cache-Control: no-store", f"Content-Type: {content_type}"]
            lines += ["X-Content-Type-Options: nosniff", f"Date: {date}", "X-Request-Id: "]
            head = "\r\n".join(line for line in lines if line != "Content-Type: ").encode("latin1")
            cls.heads[status, reason, content_type] = head
        return head


class LeanHandler(web.RequestHandler):
    """The part of a handler that runs it, and writes its answer."""

    SUPPORTED_METHODS = METHODS
    request: Request
    ui = None  # type: ignore[assignment]
    path_args: list[str]
    path_kwargs: dict[str, str] = {}  # noqa: RUF012
    _headers_written = _finished = _has_cookies = False
    _auto_finish = True
    _transforms: Any = ()
    _write_buffer: Any = ()
    _status_code = 200
    _reason = "OK"
    _content_type = JSON
    _added: dict[str, str] | None = None
    _answer_headers: httputil.HTTPHeaders | None = None
    _request_id = ""

    def __init__(self, application: web.Application, request: Request, **options: Any) -> None:
        self.application = application
        self.request = request
        if type(self).on_connection_close is not web.RequestHandler.on_connection_close:
            request.connection.set_close_callback(self.on_connection_close)  # type: ignore[union-attr]
        self.initialize(**options)

    # Running

    def run(self, path_args: Sequence[bytes]) -> asyncio.Task[None]:
        """Run the verb of the request in a task."""
        task = asyncio.Task(self._execute([], *path_args), loop=asyncio.get_running_loop(), name="request")
        _running[self] = task
        return task

    async def _execute(self, transforms: list[web.OutputTransform], *args: bytes, **_: bytes) -> None:
        """Tornado's method. Bodies are read, and XSRF tokens checked, elsewhere."""
        try:
            verb = VERBS.get(self.request.method or "")
            if verb is None:
                raise web.HTTPError(405)
            self.path_args = [self.decode_argument(arg) for arg in args]
            waiting = self.prepare()
            if waiting is not None:
                await waiting
            if self._finished:
                return
            waiting = getattr(self, verb)(*self.path_args)
            if waiting is not None:
                await waiting
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as error:
            self._answer_error(error)
        finally:
            _running.pop(self, None)

    def _answer_error(self, error: BaseException) -> None:
        """Answer an exception of the handler, as Tornado does. If its task was cancelled, that goes on."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            if not self._finished:
                self._log_errors_of(self.send_error, 500)
            raise error
        self._log_errors_of(self._handle_request_exception, error)

    def _log_errors_of(self, answer: Any, argument: Any) -> None:
        try:
            answer(argument)
        except Exception:
            logger.exception("error_not_answered", request_id=self.request_id())

    # Answering

    def request_id(self) -> str:
        """The client's X-Request-Id if it is a valid one, else a generated one."""
        if not self._request_id:
            client_id = self.request.header("X-Request-Id")
            is_valid = client_id is not None and VALID_REQUEST_ID.fullmatch(client_id)
            self._request_id = client_id if client_id and is_valid else next(self.application.settings["request_ids"])
        return self._request_id

    def clear(self) -> None:
        """Tornado's hook: reset the answer to its default status and headers."""
        self._answer_headers = self._added = None
        self._write_buffer = ()
        self._status_code, self._reason, self._content_type = 200, "OK", JSON

    @property
    def _headers(self) -> httputil.HTTPHeaders:  # type: ignore[override]
        """Tornado's attribute, made when it is first used: most answers are written without it."""
        headers = self._answer_headers
        if headers is None:
            headers = self._answer_headers = httputil.HTTPHeaders()
            headers["Cache-Control"] = "no-store"  # an answer is for its caller only, and for this moment
            if self._content_type:
                headers["Content-Type"] = self._content_type
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Date"] = DateHeader.now()
            headers["X-Request-Id"] = self.request_id()
            for name, value in (self._added or {}).items():
                headers[name] = value
        return headers

    def set_header(self, name: str, value: Any) -> None:
        """Tornado's method."""
        if self._answer_headers is None:
            name = httputil._normalize_header(name)
            if name == "Content-Type":
                self._content_type = self._convert_header_value(value)
                return
            if name in ADDED_HEADERS:
                self._added = {**(self._added or {}), name: self._convert_header_value(value)}
                return
        super().set_header(name, value)

    def clear_header(self, name: str) -> None:
        """Tornado's method."""
        if self._answer_headers is None and name == "Content-Type":
            self._content_type = ""
        else:
            super().clear_header(name)

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **options: Any) -> None:
        """Tornado's method."""
        self._has_cookies = True
        super().set_cookie(name, value, *args, **options)

    def begin_answer(self) -> None:
        """Set the headers that depend on the moment of the answer. Called before the first byte is written."""

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Tornado's method."""
        if not self._write_buffer:
            self._write_buffer = []
        super().write(chunk)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Any:
        """Tornado's method: end the answer. Returns when it is sent."""
        connection = self.request.connection
        if isinstance(connection, AnswerConnection) and not (self._finished or self._headers_written or self._write_buffer):
            self.begin_answer()
            is_plain = self._answer_headers is None and not self._has_cookies
            if is_plain and (chunk is None or isinstance(chunk, bytes)) and self._may_have(chunk):
                return self._answer_whole(connection, chunk)
        return super().finish(chunk)

    def _may_have(self, body: bytes | None) -> bool:
        """Whether an answer of this status may have this body: 204 has none, and others are answers of their own kind."""
        return not body if self._status_code == 204 else self._status_code >= 200 and self._status_code != 304

    def flush(self, include_footers: bool = False) -> Any:
        """Tornado's method: write what there is of the answer."""
        if not self._headers_written:
            self.begin_answer()
        return super().flush(include_footers)

    def _answer_whole(self, connection: AnswerConnection, body: bytes | None) -> Awaitable[None]:
        status, content_type, lines = self._status_code, self._content_type, ""
        if self._added:
            lines = "".join([f"{name}: {value}\r\n" for name, value in self._added.items()])
        if status == 204:
            content_type = ""
        else:
            lines += f"Content-Length: {len(body or b'')}\r\n"
        beginning = DateHeader.head(status, self._reason, content_type)
        self._headers_written = True
        written = connection.answer(beginning + f"{self.request_id()}\r\n{lines}".encode("latin1"), body or b"")
        self._finished = True
        self.on_finish()
        return written
