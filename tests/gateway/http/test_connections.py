"""Clients that do not receive what they requested, on every transport. Time is a number that the tests advance."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

from conf import Settings
from gateway.app import Application
from gateway.http.client_stream import ClientStream
from gateway.http.connections import (
    MIN_BYTES_PER_S,
    PEER_TIMEOUT_S,
    SEND_TIMEOUT_S,
    SOCKET_OPTIONS,
    ClientConnection,
    UnsentAnswers,
)
from gateway.http.pacing import LIMITS_OF_CALLER, LIMITS_OF_CROWD, Pace
from gateway.http.services import Services
from gateway.http.wire.server import WireServer
from gateway.http.wire.transport import ClientTransport
from gateway.server import http_server
from metrics.declared import POLLS_OPEN
from models.chat.message import Draft
from tests.journeys.core import opened, token_of
from tests.models.people import credentials, people
from tests.waiting import LIMIT_S, until_async

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it
BODY = "\N{GRINNING FACE}" * 20_000  # 80 KB
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
READERS = {  # transport -> request of an answer that a client's small buffers can't receive
    "poll": ("/api/v1/events?cursor=begin", ""),
    "sse": ("/api/v1/events/stream?cursor=begin", ""),
    "ws": ("/api/v1/events/ws?cursor=begin", HANDSHAKE),
    "old poll": ("/api/v1/communication/poll/events/", ""),
    "": ("/api/v1/conversations/1/messages", ""),
}


class Clock:
    """A time that only moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Serving:
    """A gateway in this process, with clients that do not read."""

    def __init__(self, services: Services, unsent: UnsentAnswers, **options: Any) -> None:
        self.services, self.unsent = services, unsent
        self.application = Application(services, {}, **options)
        self.server = http_server(services.settings, self.application, {}, unsent)
        sockets = bind_sockets(0, "127.0.0.1")
        self.server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        self.clients: list[socket.socket] = []

    async def request(self, credential: str, path: str, headers: str = "") -> socket.socket:
        """Send a request with a client whose buffer is as small as possible."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self.port))
        request = f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {credential}\r\n{headers}\r\n"
        await loop.sock_sendall(client, request.encode())
        self.clients.append(client)
        return client

    def streams(self) -> list[ClientConnection]:
        """The connections that are open."""
        if isinstance(self.server, WireServer):
            return list(self.server.connections)
        return [connection.stream for connection in self.server._connections]  # type: ignore[misc]

    async def received(self, client: socket.socket) -> bytes:
        """Read until the connection is closed."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while part := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                data += part
        return data


@pytest.fixture(params=["httptools", "tornado"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    with opened(tmp_path, durability="normal", wire=request.param) as settings:
        yield settings


@contextlib.asynccontextmanager
async def serving(store: Settings, unsent: UnsentAnswers, **options: Any) -> AsyncIterator[Serving]:
    services = Services(store.model_copy(update={"rate_limits": False}), lambda: None)
    services.start()
    serving = Serving(services, unsent, **options)
    try:
        yield serving
    finally:
        for client in serving.clients:
            client.close()
        serving.server.stop()
        await serving.server.close_all_connections()
        await services.committer.stop()
        services.bus.stop()
        services.tail.stop()
        services.read.close()
        services.downloads.close()


async def send_long_texts(services: Services, count: int) -> tuple[str, str]:
    """Send more than the buffers can keep to a user; returns the credentials of sender and receiver."""
    ana, ben = people("ana", "ben")
    sender, receiver = credentials(ana, ben)
    sent = [services.committer.post(Draft(ana, token_of(ana), BODY, ben)).future for _ in range(count)]
    await asyncio.gather(*sent)
    return sender, receiver


def polls_open() -> float:
    return sum(float(POLLS_OPEN.labels(transport)._value.get()) for transport in ("poll", "sse", "ws"))


@pytest.mark.parametrize("transport", READERS)
def test_a_client_that_receives_nothing_is_disconnected_on_every_transport(store: Settings, transport: str) -> None:
    async def scenario() -> None:
        clock = Clock()
        async with serving(store, UnsentAnswers(now=clock)) as served:
            _, credential = await send_long_texts(served.services, 30)
            before = polls_open()
            client = await served.request(credential, *READERS[transport])
            await until_async(lambda: served.unsent.bytes)
            assert served.unsent.bytes < 1.2 * 2**20
            clock.now += SEND_TIMEOUT_S - 1
            served.unsent.close_slow()
            assert served.unsent.bytes
            assert polls_open() - before == (transport != "")

            clock.now += SEND_TIMEOUT_S + 1  # the client's system may have received a little at first
            served.unsent.close_slow()
            clock.now += SEND_TIMEOUT_S + 1
            served.unsent.close_slow()
            await until_async(lambda: not served.unsent.bytes and polls_open() == before)
            assert len(await served.received(client)) < 2**20

    asyncio.run(scenario())


def test_one_caller_with_many_clients_keeps_few_bytes_in_memory_and_loses_the_oldest(store: Settings) -> None:
    async def scenario() -> None:
        async with serving(store, UnsentAnswers(max_bytes=6 * 2**20, max_bytes_per_caller=3 * 2**20)) as served:
            ana, ben = await send_long_texts(served.services, 15)
            path = READERS[""][0]
            other = await served.request(ana, path)
            await until_async(lambda: served.unsent.bytes)
            for _ in range(6):
                await served.request(ben, path)
            await until_async(lambda: len(served.streams()) <= 4)
            assert served.unsent.bytes < 4.5 * 2**20
            received = await asyncio.get_running_loop().sock_recv(other, 20)
            assert received.startswith(b"HTTP/1.1 200 OK")

    asyncio.run(scenario())


@pytest.mark.parametrize(("is_sending", "limit"), list(zip((False, True), LIMITS_OF_CROWD, strict=True)))
def test_a_crowd_begins_a_few_in_a_tick_in_order_and_an_error_stops_none(is_sending: bool, limit: int) -> None:
    count = 3 * limit
    begun_by_tick: list[list[int]] = []

    async def scenario() -> None:
        loop, pace, errors = asyncio.get_running_loop(), Pace(lambda: is_sending, LIMITS_OF_CROWD), []
        loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))

        def begin(number: int) -> None:
            begun_by_tick[-1].append(number)
            if number == count - 1:
                raise ZeroDivisionError

        def tick() -> None:
            begun_by_tick.append([])
            if sum(map(len, begun_by_tick)) < count:
                loop.call_soon(tick)

        tick()
        for number in range(count):
            pace.begin(partial(begin, number))
        await until_async(lambda: errors)
        begun_by_tick.append([])
        pace.begin(partial(begin, count))
        assert begun_by_tick.pop() == [count], "at once, when there is no crowd"

    asyncio.run(scenario())
    assert [number for begun in begun_by_tick for number in begun] == list(range(count))
    assert max(map(len, begun_by_tick)) <= limit


def test_what_one_caller_asks_for_at_once_goes_on_in_turns_with_the_others() -> None:
    _, limit = LIMITS_OF_CALLER
    begun: list[str] = []

    async def scenario() -> None:
        turns = Pace(lambda: True, LIMITS_OF_CALLER)
        for _ in range(3 * limit):
            turns.begin(partial(begun.append, "greedy"), "greedy")
        for caller in ("ana", "ben"):
            turns.begin(partial(begun.append, caller), caller)
        assert begun == ["greedy"] * limit + ["ana", "ben"]
        await until_async(lambda: len(begun) == 3 * limit + 2)
        assert not turns._waiting

    asyncio.run(scenario())


class Crowd:
    """A pace that begins nothing by itself."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.groups: list[Any] = []
        self.limit = 20

    def begin(self, begin: Callable[[], None], group: Any = None) -> None:
        """Keep it."""
        self.waiting.append(begin)
        self.groups.append(group)


def test_a_request_is_parsed_in_the_turn_of_its_connections_latest_caller(store: Settings) -> None:
    async def scenario() -> None:
        async with serving(store, UnsentAnswers()) as served:
            (ana,) = people("ana")
            crowd, turns = served.server.pace, served.server.turns = Crowd(), Crowd()  # type: ignore[assignment]
            loop, handled = asyncio.get_running_loop(), served.services.traffic._series
            client = await served.request(*credentials(ana), "/api/v1/me")
            await until_async(lambda: crowd.waiting)
            await loop.sock_sendall(client, b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            assert not handled
            crowd.waiting.pop()()
            assert (await loop.sock_recv(client, 1 << 20)).startswith(b"HTTP/1.1 200 ")
            await until_async(lambda: turns.waiting)
            assert len(handled) == 1
            turns.waiting.pop()()
            assert (await loop.sock_recv(client, 1 << 20)).startswith(b"HTTP/1.1 200 ")
            assert (crowd.groups, turns.groups) == (["127.0.0.1"], [ana])

    asyncio.run(scenario())


def test_a_connection_that_waits_for_its_turn_is_not_read_and_may_close() -> None:
    async def scenario() -> None:
        crowd = Crowd()
        pipe = Pipe(UnsentAnswers(), "203.0.113.7", crowd)
        head = pipe.stream.read_until_regex(b"\r\n\r\n")
        pipe.client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        await until_async(lambda: crowd.waiting)
        assert not pipe.stream.reading()
        pipe.stream.close()
        crowd.waiting.pop()()
        with pytest.raises(StreamClosedError):
            await head
        pipe.client.close()

    asyncio.run(scenario())


def test_a_poll_whose_client_has_disconnected_before_it_began_is_not_opened(store: Settings) -> None:
    async def scenario() -> None:
        async with serving(store, UnsentAnswers()) as served:
            (ana,) = people("ana")
            crowd = served.application.settings["pace"] = Crowd()
            path = f"/api/v1/events?cursor={served.services.hub.cursor(served.services.hub.head)}"
            left, _ = [await served.request(*credentials(ana), path) for _ in range(2)]
            await until_async(lambda: len(crowd.waiting) == 2)
            left.close()
            await until_async(lambda: len(served.streams()) == 1)
            before = polls_open()
            for begin in crowd.waiting:
                begin()
            await until_async(lambda: polls_open() > before)
            assert polls_open() == before + 1, "the tasks of both would have started in one tick"

    asyncio.run(scenario())


class Pipe:
    """A connection to a client of the test, without HTTP."""

    def __init__(self, unsent: UnsentAnswers, caller: str = "user", crowd: Any = None) -> None:
        ours, self.client = socket.socketpair()
        self.client.settimeout(LIMIT_S)
        pace = Pace(lambda: False, LIMITS_OF_CALLER)
        self.stream = ClientStream(ours, unsent, pace, crowd or pace, caller)


class ReadingClient:
    """A connection whose client receives at a rate: real buffers would receive in large steps."""

    caller, unsent, sent, sent_at_check, deadline, on_too_slow = "user", 0, 0, 0, 0.0, None
    is_closed = False

    def close(self) -> None:
        """Close it."""
        self.is_closed = True


@pytest.mark.parametrize(("bytes_per_s", "is_cut"), [(MIN_BYTES_PER_S * 2, False), (MIN_BYTES_PER_S // 2, True)])
def test_a_client_is_disconnected_when_it_receives_too_little_a_second(bytes_per_s: int, is_cut: bool) -> None:
    clock, client = Clock(), ReadingClient()
    unsent = UnsentAnswers(now=clock)
    unsent.add(cast("ClientStream", client), 2**20)
    for _ in range(100):
        clock.now += 1
        client.sent += bytes_per_s
        unsent.close_slow()
    assert client.is_closed == is_cut


def test_beyond_the_bound_of_all_the_caller_with_most_bytes_loses_a_connection() -> None:
    async def scenario() -> None:
        unsent = UnsentAnswers(max_bytes=5 * 2**20)
        small = Pipe(unsent, "small")
        large = [Pipe(unsent, "large") for _ in range(3)]
        for pipe in (small, *large):
            pipe.stream.write(bytes(2**20 * 3 // 2))
        assert [pipe.stream.closed() for pipe in (small, *large)] == [False, True, False, False]
        assert unsent.bytes == 3 * 2**20 * 3 // 2
        for pipe in (small, *large):
            pipe.stream.close()
            pipe.client.close()
        assert unsent.bytes == 0

    asyncio.run(scenario())


def test_a_connection_that_has_sent_everything_no_longer_counts() -> None:
    async def scenario() -> None:
        unsent = UnsentAnswers()
        pipe = Pipe(unsent)
        sent = pipe.stream.write(b"x" * 2**20)
        assert unsent.bytes == 2**20
        while not sent.done():
            pipe.client.recv(2**16)
            await asyncio.sleep(0)
        assert unsent.bytes == 0
        pipe.stream.close()
        pipe.client.close()

    asyncio.run(scenario())


def test_an_accepted_connection_notices_a_host_that_is_gone(store: Settings) -> None:
    async def scenario() -> None:
        async with serving(store, UnsentAnswers()) as served:
            await served.request("none", "/healthz")
            await until_async(served.streams)
            (stream,) = served.streams()
            accepted = stream.client_socket()
            assert all(accepted.getsockopt(level, option) for level, option, _ in SOCKET_OPTIONS)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SEND_TIMEOUT_S * 1000

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ECONNRESET])
@pytest.mark.parametrize("path", ["/api/v1/events?cursor={}", "/api/v1/events/stream"])
def test_a_user_whose_host_was_silent_until_the_system_gave_up_is_away_at_once(store: Settings, path: str, number: int) -> None:
    """Others wait for half a minute, in which a client usually opens its next poll. A dead host has been silent for that long."""

    async def scenario() -> None:
        async with serving(store, UnsentAnswers()) as served:
            hub, presence = served.services.hub, served.services.presence
            (ana,) = people("ana")
            (credential,) = credentials(ana)
            await served.request(credential, path.format(hub.cursor(hub.head)))
            await until_async(lambda: (subscriber := hub.loaded_subscriber(ana)) and subscriber.subscriptions)
            hub.loaded_subscriber(ana).idle_since -= PEER_TIMEOUT_S  # type: ignore[union-attr]
            (stream,) = served.streams()
            error = OSError(number, os.strerror(number))
            stream.connection_lost(error) if isinstance(stream, ClientTransport) else stream.close(error)  # type: ignore[call-arg]
            await until_async(lambda: ana in presence._away_since)
            presence.sweep()
            assert (ana in presence._online) == (number == errno.ECONNRESET)

    asyncio.run(scenario())


def test_a_websocket_that_answers_no_ping_is_closed_and_its_user_disconnected(store: Settings) -> None:
    async def scenario() -> None:
        async with serving(store, UnsentAnswers(), ping_every_s=0.05, pong_within_s=0.05) as served:
            (ana,) = people("ana")
            (credential,) = credentials(ana)
            ended: list[int] = []
            disconnected: Callable[[int, float], None] = served.services.presence.disconnected
            served.services.presence.disconnected = lambda user, silent_s: (ended.append(user), disconnected(user, silent_s))[1]  # type: ignore[method-assign]
            before = polls_open()
            client = await served.request(credential, *READERS["ws"])
            data = await served.received(client)
            assert b"HTTP/1.1 101" in data
            assert b"\x89\x00" in data  # a ping
            await until_async(lambda: ended == [ana] and polls_open() == before)

    asyncio.run(scenario())


@pytest.mark.parametrize(("origin", "status"), [("https://chat.example.org", b"101"), ("http://chat.example.org", b"403")])
def test_a_page_of_the_base_url_opens_a_websocket_although_a_proxy_rewrites_host(
    store: Settings, origin: str, status: bytes
) -> None:
    async def scenario() -> None:
        behind = store.model_copy(update={"base_url": "https://chat.example.org/bellwire"})
        async with serving(behind, UnsentAnswers()) as served:
            (credential,) = credentials(*people("ana"))
            client = await served.request(credential, "/api/v1/events/ws", f"{HANDSHAKE}Origin: {origin}\r\n")
            assert (await asyncio.get_running_loop().sock_recv(client, 12)).endswith(status)

    asyncio.run(scenario())
