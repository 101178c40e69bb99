"""The time that an app waits when it opens: the state and the conversations of a person with 200 conversations."""

import asyncio
from collections.abc import Sequence

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, raw_request, spread
from bench.load.loops import Tally, timed_request
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire, bellwire

CONVERSATIONS = 200
READERS = 4  # take turns
INTERVAL_S = 0.012  # between two requests, so that no reader meets the limit of 100 calls a second
WARM_UP_REQUESTS = 5


async def _create_busy_readers(server: Bellwire) -> Sequence[Person]:
    """Create readers with a message from each of 200 others."""
    people = create_people(server, READERS + CONVERSATIONS)
    readers, others = people[:READERS], people[READERS:]

    async def write(client: Client, sender: Person) -> None:
        for reader in readers:
            await client.call("POST", "/api/v1/messages", sender.token, {"to": reader.id, "body": "are you there?"})

    await spread(server.port, others, write)
    return readers


async def _read(client: Client, path: str, readers: Sequence[Person], times: int) -> Tally:
    """Read a page again and again, after some times to warm up."""
    tally = Tally()
    for number in range(times + WARM_UP_REQUESTS):
        request = raw_request("GET", path, readers[number % READERS].token)
        await timed_request(client, request, 200, tally if number >= WARM_UP_REQUESTS else Tally())
        await asyncio.sleep(INTERVAL_S)
    return tally


async def state(scale: Scale) -> Round:
    """Read both pages over one connection."""
    times = scale.count(300, 50)
    with bellwire() as server:
        readers, client = await _create_busy_readers(server), Client(server.port)
        count = len((await client.call("GET", "/api/v1/state", readers[0].token))["conversations"])
        states = await _read(client, "/api/v1/state", readers, times)
        lists = await _read(client, f"/api/v1/conversations?limit={CONVERSATIONS}", readers, times)
        client.close()
    figures = {
        "state": Figure(states.percentile_ms(0.95)),
        "state p50": Figure(states.percentile_ms(0.5)),
        "list": Figure(lists.percentile_ms(0.95)),
    }
    return round_of(figures, [states, lists], [f"{count} conversations in the state"])


_BOUNDS = Bound(30, "measured"), Bound(10, "measured")
STATE = Benchmark(
    "state",
    {
        "state": Line("`/state` with 200 conversations, p95", "ms", *_BOUNDS),
        "state p50": Line("the same, p50", "ms"),
        "list": Line("`/conversations?limit=200`, p95", "ms", *_BOUNDS),
    },
    state,
)
