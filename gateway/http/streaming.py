"""Bodies that are read while they arrive: the handler runs when the head is complete, and its verb reads the body.

The connection is read no faster than the verb reads. A verb may answer before the body is complete; the connection is closed then,
after what the client still sends was dropped for a while (gateway/http/lingering.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, ClassVar

from tornado import httputil
from tornado.http1connection import is_transfer_encoding_chunked

from gateway.http.base import Handler
from gateway.http.connections import SEND_TIMEOUT_S, stream_of
from gateway.http.deadlines import BodyLimiter
from gateway.http.errors import ProblemError

SILENCE_S = SEND_TIMEOUT_S  # a client that sends nothing for so long is disconnected
MIN_BYTES_PER_S = 4096  # and one that sends less than this
MAX_BODY_S = 3000.0  # and one whose body takes longer than this


class StreamedBody:
    """A body of which one block at a time waits for the verb."""

    def __init__(self, *, is_complete: bool = False) -> None:
        self.is_complete = is_complete
        self._error: Exception | None = None  # why no more can be read
        self._block = b""
        self._begun = _future()  # done when the verb reads, or has answered
        self._arrived: asyncio.Future[None] | None = None  # done when there is something to read
        self._read: asyncio.Future[None] | None = None  # done when the block was read

    async def read(self) -> bytes:
        """The next block, empty at the end. Raises ProblemError if the client disconnects before, and the error of `end`."""
        _resolve(self._begun)
        if not (self._block or self.is_complete or self._error):
            self._arrived = _future()
            await self._arrived
        if self._error is not None:
            raise self._error
        block, self._block = self._block, b""
        _resolve(self._read)
        return block

    # For the connection

    def begun(self) -> Awaitable[None]:
        """Done when the body is expected: only then a client that waits for `100 Continue` gets it."""
        return self._begun

    def add(self, block: bytes) -> Awaitable[None]:
        """Add a block that has arrived. The connection awaits the result before it reads on."""
        self._block, self._read = block, _future()
        _resolve(self._arrived)
        return self._read

    def complete(self) -> None:
        """Record that all was added."""
        self.is_complete = True
        _resolve(self._arrived)

    def end(self, error: Exception | None = None) -> None:
        """Read no more: the client has disconnected, or was answered, or there is another reason."""
        if not self.is_complete:
            self._error = self._error or error or ProblemError("malformed", "the body ended before it was complete")
        for future in (self._begun, self._read, self._arrived):
            _resolve(future)


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


class StreamingHandler(Handler):
    """The base of handlers whose `post` reads its body from `body` while it arrives."""

    streams_body: ClassVar[bool] = True
    body: StreamedBody

    def initialize(self, body: StreamedBody | None = None, **options: Any) -> None:  # type: ignore[override]
        """Tornado's hook. Other verbs have no such body."""
        super().initialize(**options)
        self.body = body or StreamedBody(is_complete=True)

    def content_length(self) -> int | None:
        """The length that the client announces; None if the body is chunked. Raises ProblemError 400 for others."""
        headers = self.request.headers
        if is_transfer_encoding_chunked(headers):
            return None
        length = headers.get("Content-Length", "0").partition(",")[0].strip()
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise ProblemError("malformed", "Content-Length must be a number")
        return int(length)

    def flush(self, include_footers: bool = False) -> Any:
        """Close the connection after an answer that is written before the body is complete."""
        if not self.body.is_complete and not self._headers_written:
            self.set_header("Connection", "close")
            stream = stream_of(self)
            if stream is not None:
                stream.lingers = True
        return super().flush(include_footers)


class BodyStreamer(BodyLimiter):
    """Runs the handler when the head is complete, and passes the body on while it arrives."""

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Awaitable[None]:
        """Tornado's hook: run the handler. The body is read from when the verb reads it."""
        self._deadlines = self.application.settings["deadlines"]
        self._deadlines.pop(self.request.server_connection, None)
        self._ends_at = time.monotonic() + MAX_BODY_S
        self._deadline = 0.0
        self._body = StreamedBody()
        self.handler_kwargs = {**self.handler_kwargs, "body": self._body}
        self.request._parse_body = lambda: None  # type: ignore[method-assign]
        self.execute().add_done_callback(self._end)
        return self._expect()

    async def _expect(self) -> None:
        await self._body.begun()
        self._deadline = time.monotonic() + SILENCE_S
        self._set_deadline()

    def data_received(self, data: bytes) -> Awaitable[None]:  # type: ignore[override]
        """Tornado's hook: pass a part of the body on. While it waits for the verb, the client need not send."""
        now = time.monotonic()
        self._deadline = min(now + SILENCE_S, self._deadline + len(data) / MIN_BYTES_PER_S)
        self._deadlines.pop(self.request.server_connection, None)
        return self._pass_on(data, now)

    async def _pass_on(self, data: bytes, now: float) -> None:
        await self._body.add(data)
        self._deadline += time.monotonic() - now
        self._set_deadline()

    def _set_deadline(self) -> None:
        self._deadlines[self.request.server_connection] = min(self._deadline, self._ends_at)

    def finish(self) -> None:
        """Tornado's hook: the body is complete."""
        self._deadlines.pop(self.request.server_connection, None)
        self._body.complete()

    def on_connection_close(self) -> None:
        """Tornado's hook: the client has disconnected before the body was complete."""
        self._body.end()

    def _end(self, _task: asyncio.Task[None]) -> None:
        self._body.end()
