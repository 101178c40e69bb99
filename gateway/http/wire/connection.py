"""The requests of a client's connection, one after the other.

Of what has arrived, no more is parsed than the request that is being answered: what follows waits unparsed, in `_pending`. The
transport stops reading when that is enough, or while a body waits for its reader.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine
from tornado.iostream import StreamClosedError

from gateway.http.client_stream import ClientStream
from gateway.http.connections import Caller
from gateway.http.deadlines import BODY_S
from gateway.http.wire.exchange import Exchange, Peer
from gateway.http.wire.parsing import Chunked, FixedLength, RequestParser, TooLargeError
from gateway.http.wire.transport import ClientTransport, ConnectionServer

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
MAX_TARGET_BYTES = 62 * 1024  # long texts in a query reach their handler, which names them
READ_AHEAD_BYTES = 64 * 1024  # while a request is being answered
HEAD_S = 30.0  # from a head's first bytes until it must be complete
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(ClientTransport):
    """One client."""

    __slots__ = ("_body", "_exchange", "_is_waiting", "_parser", "_pending", "_task")

    def __init__(self, server: ConnectionServer, connection: socket.socket, peer: Peer, caller: Caller) -> None:
        super().__init__(server, connection, peer, caller)
        self._pending = b""  # read, and not parsed yet
        self._exchange: Exchange | None = None  # the request that is being read or answered
        self._parser: RequestParser | None = None  # while it is being read
        self._body: FixedLength | Chunked | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_waiting = False  # for a request's place, or for who reads a body

    def received(self, data: bytes) -> None:
        """Read what has arrived."""
        self._pending = self._pending + data if self._pending else data
        self._advance()

    def drained(self) -> None:
        """Wait for the next request, or begin it: the answer before has been received."""
        if self._exchange is None:
            self._server.deadlines[self] = time.monotonic() + self._server.idle_s
            if self._pending:
                asyncio.get_running_loop().call_soon(self._advance)

    def lost(self) -> None:
        """Tell the receiver of the request that the connection has ended."""
        self._pending, self._parser, self._body = b"", None, None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lost()

    # Reading requests

    def _advance(self) -> None:
        """Go on with what has arrived, as far as nothing must be waited for."""
        while self._pending and not self._is_waiting and not self._is_closed:
            before = self._pending
            if self._exchange is None:
                if self._drained is None:
                    self._find_head()
            elif self._parser is not None:
                self._read_body(self._parser)
            if self._pending is before:
                break
        self._set_reading()

    def _set_reading(self) -> None:
        self.pause_reading(is_enough=len(self._pending) >= READ_AHEAD_BYTES or (self._is_waiting and self._body is not None))

    def _find_head(self) -> None:
        """Begin the next request if its head has arrived, when it is its caller's turn."""
        pending = self._pending
        if pending[0] in b"\r\n":  # before a request, RFC 9112 wants empty lines ignored
            pending = self._pending = pending.lstrip(b"\r\n")
            if not pending:
                return
        end = pending.find(b"\n\r\n") + 3
        if end == 2:
            end = pending.find(b"\n\n") + 2  # it is malformed
        if end == 1:
            end = len(pending) + 1
            deadline = time.monotonic() + HEAD_S
            self._server.deadlines[self] = min(self._server.deadlines.get(self, deadline), deadline)
        if end > MAX_HEAD_BYTES:
            self._refuse("headers-too-large")
        elif pending.find(b"\n", 0, MAX_TARGET_BYTES) < 0 and end > MAX_TARGET_BYTES:
            self._refuse("uri-too-long")
        elif end <= len(pending):
            self._is_waiting = True
            self._server.begin_request(self._begin, self.caller)

    def _begin(self) -> None:
        """Parse the head that has arrived, and hand it over."""
        self._is_waiting = False
        if self.closed():
            return
        pending = self._pending
        end = pending.find(b"\n\r\n") + 3
        if end == 2:
            end = len(pending)
        parser = RequestParser.make()
        self._pending = pending[end:]
        try:
            parser.feed_head(pending[:end])
            self._start(parser)
        except HTTPInputError as error:
            self._refuse_input(error)
        except Exception:
            self._fail()
        self._advance()

    def _start(self, parser: RequestParser) -> None:
        start_line = RequestStartLine(parser.method, parser.target, parser.version)
        headers = parser.headers()
        self._exchange = exchange = Exchange(
            self, start_line, keeps_alive=parser.keeps_alive, max_body_bytes=self._server.max_body_bytes
        )
        if not parser.is_complete:
            self._body = self._measure_of(headers, parser.version)
            self._server.deadlines[self] = time.monotonic() + BODY_S
        self._parser = parser
        exchange.delegate = self._server.start_request(self, exchange)
        waiting = exchange.delegate.headers_received(start_line, headers)
        if self._exchange is not exchange:  # it is answered already
            return
        expect = partial(self._expect_body, exchange, awaits_continue=headers.get("Expect") == "100-continue")
        if waiting is None:
            expect()
        else:
            self._wait(waiting, expect)

    def _expect_body(self, exchange: Exchange, *, awaits_continue: bool) -> None:
        """Go on with the body, whose receiver has received the head and may have answered. Raises TooLargeError."""
        if self._body is None:
            self._finish_reading()
            return
        self._body.limit(exchange.max_body_bytes)
        if awaits_continue and not exchange.is_answered:
            self.write(CONTINUE)

    @staticmethod
    def _measure_of(headers: HTTPHeaders, version: str) -> FixedLength | Chunked:
        encoding = headers.get("Transfer-Encoding")
        if encoding is not None:
            if encoding.lower() != "chunked" or version != "HTTP/1.1":
                raise HTTPInputError("the Transfer-Encoding must be chunked")
            return Chunked()
        return FixedLength(int(headers["Content-Length"]))

    def _read_body(self, parser: RequestParser) -> None:
        """Parse and hand over as much of the body as has arrived."""
        exchange, body = self._exchange, self._body
        assert exchange is not None
        assert body is not None
        try:
            length = body.measure(self._pending)
            data = parser.feed(self._pending[:length])
            self._pending = self._pending[length:]
            waiting = self._hand_over(exchange, data) if data else None
            if waiting is not None:
                self._wait(waiting, self._finish_if_complete)
            else:
                self._finish_if_complete()
        except HTTPInputError as error:
            self._refuse_input(error)
        except Exception:
            self._fail()

    def _hand_over(self, exchange: Exchange, data: bytes) -> Awaitable[None] | None:
        if exchange.is_answered or exchange.delegate is None:
            return None
        return exchange.delegate.data_received(data)

    def _finish_if_complete(self) -> None:
        if self._parser is not None and self._parser.is_complete:
            self._finish_reading()

    def _finish_reading(self) -> None:
        """The request is complete: let the next connection have the parser, and run the handler."""
        exchange, parser = self._exchange, self._parser
        assert exchange is not None
        assert parser is not None
        self._parser = self._body = None
        parser.release()
        self._server.deadlines.pop(self, None)
        exchange.is_read = True
        delegate, exchange.delegate = exchange.delegate, None
        if delegate is not None and not exchange.is_answered:
            delegate.finish()

    def _wait(self, waiting: Awaitable[None], go_on: Callable[[], None]) -> None:
        """Read no more of the body until who receives it is ready, and go on then."""
        self._is_waiting = True
        self._task = asyncio.ensure_future(self._go_on_after(waiting, go_on))

    async def _go_on_after(self, waiting: Awaitable[None], go_on: Callable[[], None]) -> None:
        try:
            await waiting
            self._is_waiting = False
            self._task = None
            if self.closed():
                return
            if self._parser is not None:
                go_on()
        except HTTPInputError as error:
            self._refuse_input(error)
        except Exception:
            self._fail()
        self._advance()

    # Ends

    def answered(self, exchange: Exchange) -> None:
        """The answer to a request is complete. The next one begins in a later tick of the loop, or the connection ends."""
        if exchange is not self._exchange:
            return
        if not exchange.is_read:
            exchange.ends_connection = True  # what the client still sends is of no use
        self._exchange = None
        if exchange.ends_connection:
            self._parser = self._body = None
            self.end(has_unread=self.lingers)
        elif self._drained is None and not self.closed():
            self.drained()

    def _refuse(self, slug: str) -> None:
        """Answer a request that reaches no handler, and end the connection."""
        exchange, self._exchange = self._exchange, None
        self._parser = self._body = None
        self._pending = b""
        if exchange is not None:
            exchange.lost()
            if exchange.is_begun:  # its client must not read the refusal as a part of the answer
                self.close()
        if not self.closed():
            self.write(self._server.refusal(slug))
            self.end(has_unread=True)

    def _refuse_input(self, error: HTTPInputError) -> None:
        logger.info("Malformed HTTP message from %s: %s", self.peer.remote_ip, error)
        self._refuse("too-large" if isinstance(error, TooLargeError) else "malformed")

    def _fail(self) -> None:
        """The receiver of a request has raised an exception."""
        logger.exception("Uncaught exception")
        exchange, self._exchange = self._exchange, None
        self.close()
        if exchange is not None:
            exchange.lost()

    def detach(self) -> ClientStream:
        """Leave the connection to another protocol, on a stream of Tornado's."""
        if self.closed() or self._drained is not None:
            self.close()
            raise StreamClosedError
        stream = self._server.stream(self.duplicate(), self.caller)
        stream._read_buffer += self._pending
        stream._read_buffer_size = len(self._pending)
        self._exchange, self._pending = None, b""
        self.close()
        return stream
