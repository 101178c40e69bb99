"""WebSockets (RFC 6455) for both clients. Only this module needs the package `websockets`."""

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
from bellwire_client.wire import API, CONNECT_TIMEOUT_S, headers_of, query_of

SWITCHING_PROTOCOLS = 101
CLOSE_TIMEOUT_S = 1.0


class Socket:
    """An open WebSocket."""

    def __init__(self, connection: ClientConnection, silence_timeout_s: float) -> None:
        self._connection, self._silence_timeout_s = connection, silence_timeout_s

    def receive(self) -> str:
        """Return the next frame. Raises UnreachableError when the socket is closed, or silent for too long."""
        with _connection_errors():
            return str(self._connection.recv(self._silence_timeout_s))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class AsyncSocket:
    """An open WebSocket for asyncio."""

    def __init__(self, connection: AsyncConnection, silence_timeout_s: float) -> None:
        self._connection, self._silence_timeout_s = connection, silence_timeout_s

    async def receive(self) -> str:
        """Return the next frame. Raises UnreachableError when the socket is closed, or silent for too long."""
        with _connection_errors():
            async with asyncio.timeout(self._silence_timeout_s):
                return str(await self._connection.recv())

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def open_socket(url: str, token: str | None, step: Request) -> Answer:
    """Open a WebSocket; return the answer to the handshake, with the socket as its link."""
    with _connection_errors():
        try:
            connection = connect(_address(url, step), **_options(token)).__enter__()  # closed by Socket.close()
        except InvalidStatus as refusal:
            return _refusal(refusal)
    return Answer(SWITCHING_PROTOCOLS, {}, None, Socket(connection, step.timeout_s))


async def open_async_socket(url: str, token: str | None, step: Request) -> Answer:
    """Open a WebSocket for asyncio; return the answer to the handshake, with the socket as its link."""
    with _connection_errors():
        try:
            connection = await connect_async(_address(url, step), **_options(token))
        except InvalidStatus as refusal:
            return _refusal(refusal)
    return Answer(SWITCHING_PROTOCOLS, {}, None, AsyncSocket(connection, step.timeout_s))


@contextmanager
def _connection_errors() -> Iterator[None]:
    try:
        yield
    except (WebSocketException, OSError, EOFError) as error:  # a TimeoutError is an OSError
        raise UnreachableError(f"the WebSocket broke: {error or type(error).__name__}") from error


def _address(url: str, step: Request) -> str:
    return f"{url.replace('http', 'ws', 1)}{API}{step.path}?{httpx.QueryParams(query_of(step))}"


def _options(token: str | None) -> dict[str, Any]:
    return {
        "additional_headers": headers_of(token),
        "open_timeout": CONNECT_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        "max_size": None,  # the server is trusted
    }


def _refusal(refusal: InvalidStatus) -> Answer:
    response = refusal.response
    try:
        body = json.loads(response.body or b"")
    except ValueError:
        body = None
    return Answer(response.status_code, response.headers, body)
