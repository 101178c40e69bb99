"""A connection of the wire reads in bounds, waits for its handlers and its client, and ends where it must."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado import web
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketHandler

from gateway.http.connections import UnsentAnswers
from gateway.http.deadlines import BODY_S, IDLE_CONNECTION_S
from gateway.http.wire import connection as connection_module
from gateway.http.wire import server as server_module
from gateway.http.wire.connection import HEAD_S, MAX_HEAD_BYTES, MAX_TARGET_BYTES, READ_AHEAD_BYTES
from gateway.http.wire.parsing import MAX_CHUNK_LINE_BYTES, MAX_TRAILERS_BYTES
from gateway.http.wire.server import WireServer
from tests.waiting import until_async

GET = b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FRAME = b"\x81\x85\0\0\0\0hello"  # a text, masked with zeros


class Handled:
    """The requests, parts and ends that handlers have seen, and the events that they wait for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.parts: list[int] = []
        self.closed = 0
        self.may_answer = asyncio.Event()
        self.may_read = asyncio.Event()


class Plain(web.RequestHandler):
    """Answers with the path, and the length of the body."""

    def initialize(self, handled: Handled) -> None:
        """Tornado's hook."""
        self.handled = handled

    async def get(self) -> None:
        """Answer, those to /late when they may."""
        self.handled.paths.append(self.request.path)
        if self.request.path == "/late":
            await self.handled.may_answer.wait()
        self.write(f"{self.request.path} {len(self.request.body)};")

    post = get

    def on_connection_close(self) -> None:
        """Tornado's hook."""
        self.handled.closed += 1


class Large(Plain):
    """Answers with 8 MB."""

    async def get(self) -> None:
        """Answer."""
        self.write(b"x" * (8 << 20))
        await self.finish()
        self.handled.paths.append("sent")


@web.stream_request_body
class Streamed(Plain):
    """Receives a body part by part."""

    async def data_received(self, chunk: bytes) -> None:
        """Take a part when it may be read."""
        self.handled.parts.append(len(chunk))
        await self.handled.may_read.wait()

    async def post(self) -> None:
        """Answer."""
        self.write(f"{sum(self.handled.parts)};")


class Socket(WebSocketHandler):
    """Repeats messages."""

    def on_message(self, message: Any) -> None:
        """Repeat it."""
        self.write_message(message)


class Wire:
    """A server of the wire over these handlers, and raw clients."""

    def __init__(self) -> None:
        self.handled = Handled()
        options = {"handled": self.handled}
        routes: list[Any] = [
            ("/large", Large, options),
            ("/streamed", Streamed, options),
            ("/socket", Socket),
            ("/.*", Plain, options),
        ]
        application = web.Application(routes, log_function=lambda handler: None)
        self.server = WireServer(application, unsent=UnsentAnswers(now=lambda: self.now))
        self.now = 0.0
        sockets = bind_sockets(0, "127.0.0.1")
        self.server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        self.clients: list[socket.socket] = []

    async def client(self, data: bytes = b"") -> socket.socket:
        """Connect, and send."""
        client = socket.socket()
        client.settimeout(0)
        self.clients.append(client)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self.port))
        await loop.sock_sendall(client, data)
        return client


@asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    try:
        yield wire
    finally:
        for client in wire.clients:
            client.close()
        wire.server.stop()
        await wire.server.close_all_connections()
        assert not wire.server.deadlines
        assert not wire.server.unsent.bytes


async def received(client: socket.socket, end: bytes = b"") -> bytes:
    """Receive until these bytes, or until the connection ends."""
    data = b""
    while not end or end not in data:
        part = await asyncio.get_running_loop().sock_recv(client, 1 << 20)
        if not part:
            assert not end, data
            break
        data += part
    return data


async def sent_until_full(client: socket.socket, data: bytes) -> int:
    """Send until the connection takes no more for many ticks of the loop; returns how much it has taken."""
    sent = ticks = 0
    while sent < len(data) and ticks < 300:
        try:
            sent += client.send(data[sent : sent + (1 << 16)])
            ticks = 0
        except BlockingIOError:
            ticks += 1
        await asyncio.sleep(0.001)
    return sent


def run(scenario: Callable[[Wire], Awaitable[None]]) -> None:
    async def within() -> None:
        async with wire() as served:
            await scenario(served)

    asyncio.run(within())


def test_pipelined_requests_are_answered_in_order_one_after_the_other() -> None:
    async def scenario(wire: Wire) -> None:
        paths = [b"late", *(b"%d" % n for n in range(500))]
        client = await wire.client(b"".join(GET % path for path in paths))
        await until_async(lambda: wire.handled.paths)
        assert wire.handled.paths == ["/late"]
        wire.handled.may_answer.set()
        data = await received(client, b"/499 0;")
        assert data.count(b"HTTP/1.1 200 OK") == 501
        assert wire.handled.paths == ["/" + path.decode() for path in paths]

    run(scenario)


def test_while_a_request_is_answered_little_is_read_ahead() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(GET % b"late")
        await until_async(lambda: wire.handled.paths)
        await sent_until_full(client, GET % b"next" * 300_000)
        (connection,) = wire.server.connections
        assert len(connection._pending) < READ_AHEAD_BYTES + server_module.BUFFER_BYTES  # type: ignore[attr-defined]
        client.close()

    run(scenario)


def test_a_body_is_read_no_faster_than_its_handler_reads() -> None:
    async def scenario(wire: Wire) -> None:
        body = b"x" * (64 << 20)
        client = await wire.client(b"POST /streamed HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        sent = await sent_until_full(client, body)
        assert sent < len(body)
        assert len(wire.handled.parts) == 1
        wire.handled.may_read.set()
        await asyncio.get_running_loop().sock_sendall(client, body[sent:])
        assert (await received(client, b";")).endswith(b"%d;" % len(body))

    run(scenario)


def test_a_request_may_arrive_byte_by_byte() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client()
        for byte in CHUNKED + b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" + GET % b"next":
            await asyncio.get_running_loop().sock_sendall(client, bytes([byte]))
            await asyncio.sleep(0)
        assert b"/ 5;" in await received(client, b"/next 0;")

    run(scenario)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (GET % (b"a" * MAX_TARGET_BYTES), b"414"),
        (b"GET / HTTP/1.1\r\nHost: test\r\nA: " + b"a" * MAX_HEAD_BYTES, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD_BYTES // 6), b"431"),
        (CHUNKED + b"5;" + b"a" * MAX_CHUNK_LINE_BYTES, b"400"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * MAX_TRAILERS_BYTES, b"400"),
        (CHUNKED + b"x\r\n", b"400"),
        (CHUNKED + b"-1\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\nHost: test\r\n\r\n", b"400"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (1 << 40), b"413"),
        (CHUNKED + b"%x\r\n" % (1 << 31), b"413"),
        (CHUNKED + b"0" * 17, b"400"),
    ],
)
def test_requests_beyond_a_limit_or_with_two_readings_are_refused_and_the_connection_ends(
    monkeypatch: pytest.MonkeyPatch, data: bytes, status: bytes
) -> None:
    async def scenario(wire: Wire) -> None:
        slugs: list[str] = []
        answers = {"malformed": b"400", "headers-too-large": b"431", "uri-too-long": b"414", "too-large": b"413"}
        monkeypatch.setattr(
            wire.server, "refusal", lambda slug: (slugs.append(slug), b"HTTP/1.1 " + answers[slug] + b" No\r\n\r\n")[1]
        )
        client = await wire.client(data + GET % b"next")
        assert await received(client) == b"HTTP/1.1 " + status + b" No\r\n\r\n"
        assert wire.handled.paths == []
        assert len(slugs) == 1

    run(scenario)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (b"", IDLE_CONNECTION_S),
        (GET % b"", IDLE_CONNECTION_S),
        (b"GET / HT", HEAD_S),
        (b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhell", BODY_S),
    ],
)
def test_a_client_that_does_not_go_on_is_disconnected(monkeypatch: pytest.MonkeyPatch, data: bytes, seconds: float) -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(data)
        if data == GET % b"":
            await received(client, b";")
        await until_async(lambda: wire.server.connections)
        (connection,) = wire.server.connections
        if data and data != GET % b"":
            await until_async(lambda: connection._pending or connection._body)  # type: ignore[attr-defined]
        deadline = wire.server.deadlines[connection]
        monkeypatch.setattr(time, "monotonic", lambda: deadline - 0.1)
        wire.server.close_overdue()
        assert not connection.closed()
        monkeypatch.setattr(time, "monotonic", lambda: deadline + 0.1)
        wire.server.close_overdue()
        monkeypatch.undo()
        assert deadline <= time.monotonic() + seconds
        assert await received(client) == b""

    run(scenario)


def test_a_slow_reader_is_no_hindrance_and_is_disconnected_when_it_receives_nothing() -> None:
    async def scenario(wire: Wire) -> None:
        await wire.client(GET % b"large" + GET % b"next")
        await until_async(lambda: wire.server.unsent.bytes)
        other = await wire.client(GET % b"other")
        assert b"/other 0;" in await received(other, b";")
        assert "sent" not in wire.handled.paths
        for _ in range(3):
            wire.now += 31
            wire.server.unsent.close_slow()
        await until_async(lambda: len(wire.server.connections) == 1 and not wire.server.unsent.bytes)

    run(scenario)


@pytest.mark.timeout(60)
def test_many_answers_that_nobody_reads_close_the_oldest_connections() -> None:
    async def scenario(wire: Wire) -> None:
        for _ in range(6):  # in one tick of the loop: together they are beyond the bound of all
            await wire.client(GET % b"large")
        await until_async(lambda: len(wire.server.connections) == 1)
        connection = next(iter(wire.server.connections))
        assert wire.server.unsent.bytes == connection.unsent > 0
        other = await wire.client(GET % b"other")
        assert b"/other 0;" in await received(other, b";")
        connection.close()
        assert not wire.server.unsent.bytes

    run(scenario)


def test_a_slow_reader_gets_all_and_its_next_request_is_answered() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(GET % b"large" + GET % b"next")
        await until_async(lambda: wire.server.unsent.bytes)
        data = await received(client, b"/next 0;")
        assert data.count(b"x") >= 8 << 20
        assert wire.handled.paths == ["sent", "/next"]

    run(scenario)


def test_a_connection_is_idle_when_its_client_has_received_the_answer() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(GET % b"large")
        await until_async(lambda: wire.server.unsent.bytes)
        assert not wire.server.deadlines  # a slow reader has those of unsent answers
        while "sent" not in wire.handled.paths:
            await asyncio.get_running_loop().sock_recv(client, 1 << 20)
        await until_async(lambda: wire.server.deadlines)

    run(scenario)


def test_bytes_after_an_upgrade_belong_to_the_websocket() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(HANDSHAKE + FRAME)
        data = await received(client, b"hello")
        assert data.startswith(b"HTTP/1.1 101 ")
        assert not wire.server.connections
        await asyncio.get_running_loop().sock_sendall(client, FRAME)
        assert (await received(client, b"hello")) == b"\x81\x05hello"
        client.shutdown(socket.SHUT_WR)
        await received(client)

    run(scenario)


@pytest.mark.parametrize("body", [b"Content-Length: 5\r\n\r\nGET /", b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"ODD"])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_a_request_that_offers_an_upgrade_has_its_body(method: bytes, protocol: bytes, body: bytes) -> None:
    async def scenario(wire: Wire) -> None:
        head = b" /first HTTP/1.1\r\nHost: test\r\nupgrade: %s\r\nConnection: Upgrade\r\n" % protocol
        client = await wire.client((method + head + body) * 2 + GET % b"next")
        data = await received(client, b"/next 0;")
        assert data.count(b"HTTP/1.1 ") == 3
        assert data.count(b"HTTP/1.1 405 " if method == b"ODD" else b"/first 5;") == 2

    run(scenario)


def test_a_handler_hears_that_its_client_has_disconnected() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(GET % b"late")
        await until_async(lambda: wire.handled.paths)
        client.close()
        await until_async(lambda: wire.handled.closed)
        assert not wire.server.connections
        wire.handled.may_answer.set()

    run(scenario)


def test_an_answer_before_the_end_of_a_large_body_arrives() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(CHUNKED + b"x\r\n" + b"y" * 1_000_000)
        assert (await received(client)).startswith(b"HTTP/1.1 400 ")

    run(scenario)


def test_without_descriptors_the_server_accepts_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A listening socket that cannot accept."""

        def accept(self) -> None:
            """Fail."""
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def scenario(wire: Wire) -> None:
        monkeypatch.setattr(server_module, "ACCEPT_AGAIN_S", 0.01)
        (listening,) = wire.server._listening
        full: Any = Full()
        full.fileno = listening.fileno
        wire.server._listening.append(full)
        wire.server.accept_waiting(full)  # the socket is not read meanwhile
        wire.server._listening.remove(full)
        wire.server._accept_again(listening)
        client = await wire.client(GET % b"")
        assert b"/ 0;" in await received(client, b";")

    run(scenario)


def test_an_error_of_a_receiver_ends_its_connection_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(wire: Wire) -> None:
        start = wire.server.start_request
        monkeypatch.setattr(wire.server, "start_request", lambda *_: 1 / 0)
        assert await received(await wire.client(GET % b"")) == b""
        monkeypatch.setattr(wire.server, "start_request", start)
        assert b"/ 0;" in await received(await wire.client(GET % b""), b";")

    run(scenario)
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [connection_module.__name__]


def test_a_refusal_behind_an_answer_that_is_not_received_yet_arrives_after_it() -> None:
    async def scenario(wire: Wire) -> None:
        client = await wire.client(GET % b"large" + b"broken\r\n\r\n")
        await until_async(lambda: wire.server.unsent.bytes)
        (connection,) = wire.server.connections
        connection._refuse("malformed")  # type: ignore[attr-defined]
        connection._drained.cancel()  # type: ignore[attr-defined]  # by one who waited for the answer
        data = await received(client)
        assert data.count(b"x") >= 8 << 20
        assert data.endswith(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    run(scenario)
