"""Posts to a receiver that is slow, or whose name has several addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from conf import Settings
from jobs.hooks import addresses, connection, posting
from jobs.hooks.posting import Outcome, Poster
from tests.waiting import until_async

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
WITHOUT_ITS_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[int, list[str]]]:
    """Answer each request with the same bytes. Gives the port, and the addresses of the open connections."""
    connected: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        connected.append(address)
        try:
            while await reader.readuntil(b"{}"):
                writer.write(answer)
        except (asyncio.IncompleteReadError, OSError):
            connected.remove(address)
            writer.close()

    async with await asyncio.start_server(serve, "0.0.0.0", 0) as server:
        yield server.sockets[0].getsockname()[1], connected


def run(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, steps: Callable[[Poster, list[str], list[str]], Awaitable[None]], *found: str
) -> None:
    """Run steps with a poster, the addresses that its name has, and the list of those that have a connection."""

    async def main() -> None:
        has = list(found)

        async def addresses_of(host: str, port: int) -> list[str]:
            return list(has)

        monkeypatch.setattr(addresses, "_addresses_of", addresses_of)
        async with serving(answer) as (port, connected):
            poster = Poster(f"http://receiver.example:{port}/", Settings(webhook_allow="0.0.0.0/0"))  # type: ignore[arg-type]
            await steps(poster, has, connected)
            poster.close()
            await until_async(lambda: not connected)

    asyncio.run(main())


async def post(poster: Poster) -> Outcome:
    return await poster.post([SECRET], "id", b"{}")


def test_a_status_counts_however_slow_its_body_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 1.5)

    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        assert await post(poster) == (200, None)

    run(monkeypatch, WITHOUT_ITS_BODY, steps, "127.0.0.1")


def test_the_first_address_that_can_be_connected_to_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_S", 3.0)

    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        assert await post(poster) == (200, None)
        assert connected == ["127.0.0.1"]
        has[:] = ["255.255.255.255"]
        assert (await post(poster)).status is None

    run(monkeypatch, TAKEN, steps, "255.255.255.255", "127.0.0.1")  # not reachable


def test_an_address_that_does_not_answer_has_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_S", 3.0)
    real = asyncio.open_connection

    async def open_connection(address: str, *args: object, **options: object) -> object:
        if address == "127.0.0.9":
            await asyncio.Event().wait()
        return await real(address, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "open_connection", open_connection)

    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        assert await post(poster) == (200, None)
        assert connected == ["127.0.0.1"]

    run(monkeypatch, TAKEN, steps, "127.0.0.9", "127.0.0.1")


def test_idle_connections_of_former_addresses_and_stale_ones_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        await post(poster)
        assert connected == ["127.0.0.1"]
        has[:] = ["127.0.0.2"]
        await post(poster)
        await until_async(lambda: connected == ["127.0.0.2"])
        await post(poster)
        poster.close_stale()
        assert connected == ["127.0.0.2"]
        monkeypatch.setattr(connection, "MAX_KEPT_S", -1.0)
        poster.close_stale()
        await until_async(lambda: not connected)

    run(monkeypatch, TAKEN, steps, "127.0.0.1")


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nmore", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmuch\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, False),
        (WITHOUT_ITS_BODY, False),
    ],
)
def test_a_connection_is_used_again_after_an_answer_that_was_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, is_kept: bool
) -> None:
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 0.1)

    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        outcome = await post(poster)
        assert outcome.is_accepted
        await until_async(lambda: len(connected) == is_kept)
        assert await post(poster) == outcome

    run(monkeypatch, answer, steps, "127.0.0.1")


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000]
)
def test_what_is_no_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        assert str((await post(poster)).error).startswith("RemoteProtocolError: ")
        assert not poster._connections._idle

    run(monkeypatch, answer, steps, "127.0.0.1")


def test_deliveries_that_begin_together_share_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[str] = []

    async def steps(poster: Poster, has: list[str], connected: list[str]) -> None:
        real = addresses._addresses_of

        async def counted(host: str, port: int) -> list[str]:
            lookups.append(host)
            await asyncio.sleep(0)  # the others begin
            return await real(host, port)

        monkeypatch.setattr(addresses, "_addresses_of", counted)
        assert await asyncio.gather(*(post(poster) for _ in range(5))) == [(200, None)] * 5
        assert len(lookups) == 1
        await post(poster)
        assert len(lookups) == 2

    run(monkeypatch, TAKEN, steps, "127.0.0.1")
