"""Outages of the Redis that gateways share their counts on: requests are counted here meanwhile, and there again afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from conf import Settings
from gateway.http.errors import ProblemError
from gateway.http.rate_limits import RateLimits
from tests.redis_server import RedisServer
from tests.waiting import LIMIT_S


@pytest.fixture
def second_server() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.remove()


def limits_on(port: int) -> RateLimits:
    settings = Settings(_env_file=None, redis_url=f"redis://127.0.0.1:{port}/0", limit_send="100/hour")  # type: ignore[call-arg]
    return RateLimits(settings, recheck_s=0.05)


class FixedAddress:
    """A port that leads new connections to `target`, and leaves open ones as they are."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1")
        self.port = server.sockets[0].getsockname()[1]
        yield
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(_copy(reader, target_writer), _copy(target_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def until(limits: RateLimits, *, local_only: bool) -> None:
    """Send requests until the counts are shared, or local; each of them is answered, also while Redis is down."""
    async with asyncio.timeout(LIMIT_S):
        while limits.local_only != local_only:
            await limits.hit("api", "user:1")
            await asyncio.sleep(0.05)


async def until_counted(limits: RateLimits, server: RedisServer) -> None:
    """Send requests until the server has counted one."""
    async with asyncio.timeout(LIMIT_S):
        with server.client() as client:
            while not client.keys("bellwire:*user:2*"):
                await limits.hit("api", "user:2")
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("outage", ["kill", "hang", "replica"])
def test_requests_are_counted_here_during_an_outage_and_there_after_it(
    redis_server: RedisServer, second_server: RedisServer, outage: str
) -> None:
    def replicate(*master: object) -> None:
        with redis_server.client() as client:
            client.execute_command("REPLICAOF", *master)

    async def run() -> None:
        limits = limits_on(redis_server.port)
        await limits.hit("api", "user:1")
        replicate("127.0.0.1", second_server.port) if outage == "replica" else getattr(redis_server, outage)()
        await until(limits, local_only=True)
        for _ in range(100):
            await limits.hit("send", "user:1")
        with pytest.raises(ProblemError):
            await limits.hit("send", "user:1")

        if outage == "replica":
            replicate("NO", "ONE")
        else:
            redis_server.go_on() if outage == "hang" else redis_server.start()
        await until(limits, local_only=False)
        await until_counted(limits, redis_server)

    asyncio.run(run())


def test_counts_move_to_the_new_primary_behind_a_fixed_address(redis_server: RedisServer, second_server: RedisServer) -> None:
    async def run() -> None:
        address = FixedAddress(redis_server.port)
        async with address.serve():
            limits = limits_on(address.port)
            await limits.hit("api", "user:1")
            with redis_server.client() as client:
                client.replicaof("127.0.0.1", second_server.port)
            address.target = second_server.port
            await until(limits, local_only=True)
            await until(limits, local_only=False)
            await until_counted(limits, second_server)
            assert limits._shared is not None
            await limits._shared.close()

    asyncio.run(run())
