"""Webhooks: how many events a second one receiver gets, and how soon it hears of a send while another receiver hangs."""

import asyncio
from time import perf_counter

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client
from bench.load.hooks import Hook, receiver
from bench.load.loops import closed_loop, open_loop, percentile
from bench.load.targets import create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.processes import cpu_seconds

MESSAGES, FEW_MESSAGES = 6_000, 500
RATE = 100  # sends a second
CONNECTIONS = 20
ROUTE = "/api/v1/admin/webhooks"
SETTINGS = {"BELLWIRE_WEBHOOK_ALLOW": "127.0.0.0/8"}
DELIVERY_TIMEOUT_S = 120.0


async def _add(server: Bellwire, url: str, start: str | None = None) -> None:
    """Make a webhook for new messages, from the start of the log or from now on."""
    client = Client(server.port)
    body = {"url": url, "types": ["message.created"]} | ({"from": start} if start else {})
    await client.call("POST", ROUTE, server.admin_token, body)
    client.close()


async def _wait_for(hook: Hook, messages: int) -> None:
    deadline = perf_counter() + DELIVERY_TIMEOUT_S
    while len(hook.got_at) < messages:
        if perf_counter() > deadline:
            raise TimeoutError(f"{len(hook.got_at)} of {messages} messages came")
        await asyncio.sleep(0.01)


async def webhooks(scale: Scale) -> Round:
    """Deliver what the log has to a new webhook; then send beside one more that hangs."""
    count, seconds = scale.count(MESSAGES, FEW_MESSAGES), scale.seconds(15, 3)
    with bellwire(settings=SETTINGS) as server:
        target, counter = create_chat(server), numbers()
        filled = await closed_loop(target, CONNECTIONS, counter, count=count)
        async with receiver() as hook, receiver(answers=False) as hanging:
            used_s, start = cpu_seconds(server.pids()), perf_counter()
            await _add(server, hook.url, "begin")
            await _wait_for(hook, count)
            took_s, used_s, delivered = perf_counter() - start, cpu_seconds(server.pids()) - used_s, hook.deliveries
            await _add(server, hanging.url)
            stream = await open_loop(target, RATE, seconds, counter)
            await _wait_for(hook, count + len(stream.acknowledged))
        delays = [hook.got_at[number] - stream.sent_at[number] for number in stream.acknowledged]
    remarks = [
        f"{delivered:,} deliveries in {took_s:.1f} s; {1e6 * used_s / delivered:.0f} µs of CPU each, of all processes",
        f"beside a receiver that hangs: p50 {1000 * percentile(delays, 0.5):.0f} ms, largest {1000 * max(delays):.0f} ms",
    ]
    figures = {"rate": Figure(delivered / took_s), "p95": Figure(1000 * percentile(delays, 0.95))}
    return round_of(figures, [filled, stream], remarks)


WEBHOOKS = Benchmark(
    "webhooks",
    {
        "rate": Line("deliveries to one receiver that answers at once", "/s", Bound(500, "measured", at_least=True)),
        "p95": Line(
            f"from a send to the webhook's receiver at {RATE}/s, p95, beside a receiver that hangs", "ms", Bound(100, "measured")
        ),
    },
    webhooks,
)
