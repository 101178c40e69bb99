"""nginx with the shipped configuration and the wire agree on where each request ends, of malformed requests too."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import uvloop

from bench.hostile.requests import Bytes, Call, connection
from tests.deploy.proxy import Proxy
from tests.gateway.http.wire.both import on_the_new_wire, serving
from tests.gateway.http.wire.echo import EchoApplication
from tests.gateway.http.wire.exchanges import LAST, PATIENCE_S, Outcome, exchange
from tests.gateway.http.wire.test_differences import SMUGGLING

pytestmark = pytest.mark.needs_binary("nginx")
PATHS = ("/echo", "/late", "/parts", "/empty", "/reader", "/early")
CALLS = tuple(Call(path, body) for path in PATHS for body in (b"hello", b"x" * 9_000))
ODDITIES = (0, 0.02, 0.1, 0.3)
CONNECTIONS, SEED = 200, 1
FAULTS = {500, 502, 503, 504}
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def generated() -> list[Bytes]:
    random = Random(SEED)
    made = [connection(random, CALLS, random.choice(ODDITIES)) for _ in range(CONNECTIONS)]
    return [replace(each, ending="stay") for each in made] + [sent for _, sent in SMUGGLING.values()]


def forwarded(log: str) -> tuple[int, int]:
    """Return how many requests nginx had answered by a gateway, and how many it began to send to one: a client may leave before."""
    lines = [json.loads(line) for line in log.splitlines()]
    begun = [line for line in lines for _ in ADDRESS.findall(line["gateway"])]
    return sum(line["gateway_status"].isdigit() for line in lines), len(begun)


def test_a_gateway_receives_as_many_requests_as_nginx_sends_it(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[Outcome], int]:
        applications = EchoApplication(), EchoApplication()
        first, second = (serving(on_the_new_wire, each) for each in applications)
        async with first as one, second as other:
            proxy = Proxy(tmp_path, (one, other))
            await asyncio.to_thread(proxy.start)
            try:
                outcomes = await asyncio.gather(*(exchange(proxy.port, sent, 1.0) for sent in generated()))
                last = [await exchange(proxy.port, Bytes((LAST,), "stay"), PATIENCE_S) for _ in range(5)]
            finally:
                await asyncio.to_thread(proxy.stop)
            assert all(b"/echo?last" in outcome.answers[0].body for outcome in last)
            received = sum(each.requests for each in applications)
            answered, begun = forwarded(proxy.requests())
            assert answered <= received <= begun
            return outcomes, received

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcomes, received = runner.run(scenario())
    assert received > CONNECTIONS / 2
    assert not FAULTS & {answer.status for outcome in outcomes for answer in outcome.answers}
