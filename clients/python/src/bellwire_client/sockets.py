"""WebSockets (RFC 6455), for both drivers. Only this file needs the package `websockets`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bellwire_client.errors import UnreachableError
from bellwire_client.steps import Answer, Request
from bellwire_client.wire import API, CONNECT_WITHIN_S, headers_of, query_of

SWITCHED = 101
CLOSE_WITHIN_S = 1.0


class Socket:
    """An open WebSocket."""

    def __init__(self, connection: ClientConnection, quiet_s: float) -> None:
        self._connection, self._quiet_s = connection, quiet_s

    def receive(self) -> str:
        """The next frame. Raises UnreachableError when it is closed, or silent for too long."""
        with _reaching():
            return str(self._connection.recv(self._quiet_s))

    def close(self) -> None:
        """Says good-bye."""
        self._connection.close()


class AsyncSocket:
    """An open WebSocket on an event loop."""

    def __init__(self, connection: AsyncConnection, quiet_s: float) -> None:
        self._connection, self._quiet_s = connection, quiet_s

    async def receive(self) -> str:
        """The next frame. Raises UnreachableError when it is closed, or silent for too long."""
        with _reaching():
            async with asyncio.timeout(self._quiet_s):
                return str(await self._connection.recv())

    async def close(self) -> None:
        """Says good-bye."""
        await self._connection.close()


def open_socket(url: str, token: str | None, step: Request) -> Answer:
    """The answer to the handshake, with the socket."""
    with _reaching():
        try:
            connection = connect(_address(url, step), **_options(token)).__enter__()  # left by close()
        except InvalidStatus as refusal:
            return _refused(refusal)
    return Answer(SWITCHED, {}, None, Socket(connection, step.timeout_s))


async def open_async_socket(url: str, token: str | None, step: Request) -> Answer:
    """The same, on an event loop."""
    with _reaching():
        try:
            connection = await connect_async(_address(url, step), **_options(token))
        except InvalidStatus as refusal:
            return _refused(refusal)
    return Answer(SWITCHED, {}, None, AsyncSocket(connection, step.timeout_s))


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (WebSocketException, OSError, EOFError) as error:  # a TimeoutError is an OSError
        raise UnreachableError(f"the socket broke: {error or type(error).__name__}") from error


def _address(url: str, step: Request) -> str:
    return f"{url.replace('http', 'ws', 1)}{API}{step.path}?{httpx.QueryParams(query_of(step))}"


def _options(token: str | None) -> dict[str, Any]:
    return {
        "additional_headers": headers_of(token),
        "open_timeout": CONNECT_WITHIN_S,
        "close_timeout": CLOSE_WITHIN_S,
        "max_size": None,  # the server is trusted with that
    }


def _refused(refusal: InvalidStatus) -> Answer:
    response = refusal.response
    try:
        body = json.loads(response.body or b"")
    except ValueError:
        body = None
    return Answer(response.status_code, response.headers, body)
