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
    """A body of which a batch is collected while the verb is busy with the one before. It wakes the verb once for each."""

    def __init__(self, *, is_complete: bool = False) -> None:
        self.is_complete = is_complete
        self.received = 0  # altogether
        self._batch = bytearray()
        self._batch_bytes = self._limit = 0  # nothing is expected yet
        self._error: Exception | None = None  # why no more can be read
        self._begun = _future()  # done when the verb reads, or has answered
        self._filled: asyncio.Future[None] | None = None  # done when there is something to read
        self._emptied: asyncio.Future[None] | None = None  # done when the batch was read

    async def read(self, batch_bytes: int, limit: int) -> bytearray:
        """The next batch, of so many bytes or somewhat more; less at the end of the body, and once it is longer than the limit.

        Raises ProblemError if the client disconnects before, and the error of `end`.
        """
        self._batch_bytes, self._limit = batch_bytes, limit
        _resolve(self._begun)
        if not (self._is_waiting() or self.is_complete or self._error):
            self._filled = _future()
            await self._filled
        if self._error is not None:
            raise self._error
        batch, self._batch = self._batch, bytearray()
        _resolve(self._emptied)
        return batch

    def _is_waiting(self) -> bool:
        """Whether the connection waits until the batch is read. The verb may ask for larger ones since."""
        return self._emptied is not None and not self._emptied.done()

    # For the connection

    def begun(self) -> Awaitable[None]:
        """Done when the body is expected: only then a client that waits for `100 Continue` gets it."""
        return self._begun

    def add(self, block: bytes) -> Awaitable[None] | None:
        """Add what has arrived. The connection awaits the result before it reads on: a batch that is not read yet is enough."""
        self._batch += block
        self.received += len(block)
        if len(self._batch) < self._batch_bytes and self.received <= self._limit:
            return None
        self._emptied = _future()
        _resolve(self._filled)
        return self._emptied

    def complete(self) -> None:
        """Record that all was added."""
        self.is_complete = True
        _resolve(self._filled)

    def end(self, error: Exception | None = None) -> None:
        """Read no more: the client has disconnected, or was answered, or there is another reason."""
        if not self.is_complete:
            self._error = self._error or error or ProblemError("malformed", "the body ended before it was complete")
        for future in (self._begun, self._emptied, self._filled):
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
        try:
            if is_transfer_encoding_chunked(headers):
                return None
        except httputil.HTTPInputError as error:
            raise ProblemError("malformed", str(error)) from None
        length = headers.get("Content-Length", "0").partition(",")[0].strip()
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise ProblemError("malformed", "Content-Length must be a number")
        return int(length)

    def begin_answer(self) -> None:
        """Close the connection after an answer that is written before the body is complete."""
        super().begin_answer()
        if not self.body.is_complete:
            self.set_header("Connection", "close")
            stream = stream_of(self)
            if stream is not None:
                stream.lingers = True


class BodyStreamer(BodyLimiter):
    """Runs the handler when the head is complete, and passes the body on while it arrives."""

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Awaitable[None]:
        """Tornado's hook: run the handler. The body is read from when the verb reads it."""
        self._deadlines = self.application.settings["deadlines"]
        self._deadlines.pop(self.request.server_connection, None)
        self._ends_at = time.monotonic() + MAX_BODY_S
        self._deadline = 0.0
        self._body = StreamedBody()
        self.execute(body=self._body).add_done_callback(self._end)
        return self._expect()

    async def _expect(self) -> None:
        await self._body.begun()
        self._deadline = time.monotonic() + SILENCE_S
        self._set_deadline()

    def data_received(self, data: bytes) -> Awaitable[None] | None:
        """Tornado's hook: pass a part of the body on. While a batch waits for the verb, the client need not send."""
        now = time.monotonic()
        self._deadline = min(now + SILENCE_S, self._deadline + len(data) / MIN_BYTES_PER_S)
        waiting = self._body.add(data)
        if waiting is not None:
            return self._wait(waiting, now)
        self._set_deadline()
        return None

    async def _wait(self, waiting: Awaitable[None], since: float) -> None:
        self._deadlines.pop(self.request.server_connection, None)
        await waiting
        self._deadline += time.monotonic() - since
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
