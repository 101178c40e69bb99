"""Two servers in this process, one on each wire, and the same bytes for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado.netutil import bind_sockets

from bench.hostile.requests import Bytes
from gateway.http.deadlines import Server
from gateway.http.wire.server import WireServer
from tests.gateway.http.wire.exchanges import FIRST_PATIENCE_S, PATIENCE_S, Outcome, exchange
from tests.gateway.http.wire.proxies import FRONTS
from tests.gateway.http.wire.rules import difference

MakeServer = Callable[[Any], Any]  # from an application


def on_tornado(application: Any) -> Server:
    """A server on Tornado's wire."""
    return Server(application, deadlines={})


def on_the_new_wire(application: Any) -> WireServer:
    """A server on the new one."""
    return WireServer(application)


@dataclass
class Both:
    """The ports of Tornado's wire and of the new one."""

    ports: tuple[int, int]
    found: list[str] = field(default_factory=list)

    async def compare(self, sent: Bytes, patience_s: float = 0) -> None:
        """Send bytes to both. What differs is sent again, more and more slowly, before it is believed."""
        tornado, wire = await asyncio.gather(*(exchange(port, sent, patience_s) for port in self.ports))
        differs = difference(sent.data, tornado, wire) or desync(sent, wire)
        if differs and patience_s < PATIENCE_S:
            await self.compare(sent, 5 * patience_s or FIRST_PATIENCE_S)
        elif differs:
            self.found.append(f"{differs}\nThe bytes: {str(sent)[:3_000]}")


def desync(sent: Bytes, wire: Outcome) -> str:
    """Return which server in front would have expected fewer answers, empty if none."""
    for front in FRONTS:
        count = front.count(sent.data)
        if count is not None and wire.before_last > count:
            return f"{front.name}: {count} requests, {wire.before_last} answers"
    return ""


@asynccontextmanager
async def serving(make_server: MakeServer, application: Any) -> AsyncIterator[int]:
    """Serve an application; yield the port."""
    server = make_server(application)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()
