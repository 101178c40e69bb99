"""The same bytes for the real application on both wires: equal answers, but for the refusals that rules.py lists."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
import uvloop

from bench.hostile.requests import Call, connection
from conf import Settings
from gateway.app import Application
from gateway.http.services import Services
from gateway.http.wire.server import WireServer
from gateway.server import http_server
from models.chat.message import Draft
from tests.gateway.http.wire.both import Both, serving
from tests.gateway.http.wire.exchanges import FIRST_PATIENCE_S
from tests.journeys.core import opened, token_of
from tests.models.people import credentials, people

pytestmark = pytest.mark.only("sqlite")
CONNECTIONS, SEED = 120, 1
ODDITIES = (0, 0, 0.02, 0.1)
READ = (
    "events",
    "events?timeout=0&cursor=begin",
    "state",
    "me",
    "users",
    "conversations",
    "conversations/1/messages",
    "notifications",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Settings]:
    with opened(tmp_path, durability="normal", rate_limits="off") as settings:
        yield settings


@contextlib.asynccontextmanager
async def both_wires(settings: Settings, services: Services) -> AsyncIterator[Both]:
    """Serve one store on both wires."""
    tornado = settings.model_copy(update={"wire": "tornado"})
    on_tornado = serving(lambda application: http_server(tornado, application, {}), Application(services, {}))
    async with on_tornado as first, serving(WireServer, Application(services, {})) as second:
        yield Both((first, second))


def calls(credential: str, to: int) -> list[Call]:
    """Requests whose answer is the same when they are repeated."""
    bearer = (f"Authorization: Bearer {credential}",)
    as_json = (*bearer, "Content-Type: application/json")
    message = f'{{"to": {to}, "body": "hello", "client_id": "same"}}'.encode()
    return [
        *(Call(f"/api/v1/{path}", method="GET", headers=bearer) for path in READ),
        *(Call(path) for path in ("/healthz", "/", "/api/docs", "/static/app.js", "/nothing", "/api/v1/me", "/api/v1/instance")),
        Call("/api/v1/messages", message, "POST", as_json),
        Call("/api/v1/messages", b"{", headers=as_json),
        Call("/api/v1/messages", b" " * 70_000 + message, "POST", as_json),
        Call("/api/v1/posts", b'{"body": ""}', "POST", as_json),
        Call("/api/v1/files?name=a", b"x" * 100_000, "POST"),
    ]


def test_the_api_answers_the_same_on_both_wires(store: Settings) -> None:
    async def scenario() -> list[str]:
        services = Services(store, lambda: None)
        services.start()
        try:
            ana, ben = people("ana", "ben")
            credential, _ = credentials(ana, ben)
            await services.committer.post(Draft(ana, token_of(ana), "hello", ben, client_id="same")).future
            async with both_wires(store, services) as both:
                random = Random(SEED)
                sent = [connection(random, calls(credential, ben), random.choice(ODDITIES)) for _ in range(CONNECTIONS)]
                await asyncio.gather(*(both.compare(each, FIRST_PATIENCE_S) for each in sent))
                return both.found
        finally:
            await services.committer.stop()
            services.bus.stop()
            services.tail.stop()
            services.read.close()
            services.downloads.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(scenario())
    assert not found, found[0]
