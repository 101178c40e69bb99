"""Redis behind a fixed address: the old primary becomes a replica of the new one, and its connections stay open."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from gateway.delivery.listeners import RedisListener
from jobs.infra.publisher import Publisher
from jobs.infra.redis_client import create_async_client
from jobs.queue.errors import QueueDownError
from jobs.queue.redis import RedisQueue
from tests.redis_server import RedisServer
from tests.waiting import until

EPOCH = "abcd1234"


class Address:
    """A fixed address. New connections go to `server`; those that are open stay where they are."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.server.port))
                self._sockets += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_forward, args=(source, target), daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def address(redis_server: RedisServer) -> Iterator[Address]:
    made = Address(redis_server)
    yield made
    made.close()


@pytest.fixture
def fail_over(redis_server: RedisServer, address: Address) -> Iterator[Callable[[], RedisServer]]:
    """Make the server a replica of a new one, which is behind the address from now on."""
    other = RedisServer().start()

    def move() -> RedisServer:
        with redis_server.client() as client:
            client.replicaof("127.0.0.1", other.port)
        address.server = other
        return other

    yield move
    other.remove()


def test_the_queue_moves_to_the_new_primary(address: Address, fail_over: Callable[[], RedisServer]) -> None:
    queue = RedisQueue("tests", address.url)
    queue.enqueue(b"one")
    other = fail_over()
    with pytest.raises(QueueDownError):
        queue.enqueue(b"two")
    queue.enqueue(b"three")
    with other.client() as client:
        assert client.zcard(queue.queue_key) == 1
    assert queue.dequeue() == b"three"
    queue.close()


def test_hints_arrive_over_the_new_primary(address: Address, fail_over: Callable[[], RedisServer]) -> None:
    publisher, received = Publisher(address.url, EPOCH), list[bytes]()
    listener = RedisListener(address.url, EPOCH, lambda: None, lambda: 0, received.append)

    def arrives(message: bytes) -> bool:
        publisher.publish_ephemeral(message)
        return message in received

    publisher.start()
    listener.start()
    until(lambda: arrives(b"before"))
    other = fail_over()
    with other.client() as client:
        until(lambda: len(client.client_list(_type="pubsub")) == 1)
        until(lambda: arrives(b"after"))
        until(lambda: not publisher.down and not listener.down)
    publisher.stop()
    listener.stop()


def test_the_async_client_of_the_limits_moves_with_all_its_connections(
    address: Address, fail_over: Callable[[], RedisServer]
) -> None:
    async def scenario() -> None:
        client = create_async_client(address.url, 5)
        await asyncio.gather(*(client.incr("hits") for _ in range(4)))  # opens several connections
        other = fail_over()
        with pytest.raises(redis.ConnectionError):
            await client.incr("hits")
        assert sorted(await asyncio.gather(*(client.incr("moved") for _ in range(4)))) == [1, 2, 3, 4]
        await client.aclose()
        with other.client() as checking:
            assert checking.get("moved") == b"4"

    asyncio.run(scenario())
