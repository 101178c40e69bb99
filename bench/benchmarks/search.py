"""Searching 1,000,000 messages on each store, by a person who has some of them in each of many groups."""

import asyncio
import random
from collections.abc import Sequence
from urllib.parse import quote

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, raw_request
from bench.load.history import word, write_history
from bench.load.loops import Tally, timed_request
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.stores import stores

PEOPLE = 200
INTERVAL_S = 0.02  # between two searches, so that nobody meets the limit of 100 calls a second
WARM_UP = 5
STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
KINDS = {
    "common": "a word of every fifth message",
    "usual": "a word of one in 500",
    "rare": "a word of one in 20,000",
    "two": "two usual words",
    "beginning": "the beginning of words",
    "from": "a usual word of one sender",
    "place": "a common word before a day",
}


def _text(kind: str, chance: random.Random) -> str:
    """Return a search of a kind."""
    usual, rare = word(chance.randint(400, 600)), word(chance.randint(20_000, 40_000))
    return {
        "common": word(chance.randint(1, 10)),
        "usual": usual,
        "rare": rare,
        "two": f"{usual} {word(chance.randint(100, 200))}",
        "beginning": usual[:3],
        "from": f"from:person{chance.randint(0, 9)} {word(chance.randint(20, 40))}",
        "place": f"{word(chance.randint(5, 30))} before:2026",
    }[kind]


async def _search(server: Bellwire, people: Sequence[Person], times: int) -> dict[str, Tally]:
    """Search by each kind in turn; the first times warm up."""
    chance, client = random.Random(1), Client(server.port)
    tallies = {kind: Tally() for kind in KINDS}
    for number in range(WARM_UP + times):
        for kind, tally in tallies.items():
            path = f"/api/v1/search/messages?limit=20&q={quote(_text(kind, chance))}"
            request = raw_request("GET", path, people[number % len(people)].token)
            await timed_request(client, request, 200, tally if number >= WARM_UP else Tally())
            await asyncio.sleep(INTERVAL_S)
    client.close()
    return tallies


async def _measure(server: Bellwire, scale: Scale) -> dict[str, Tally]:
    people = create_people(server, PEOPLE)
    write_history(server, scale.count(1_000_000, 5_000))
    return await _search(server, people, scale.count(60, 5))


async def search(scale: Scale) -> Round:
    """Fill a store of each kind, and search it over one connection."""
    with bellwire() as server:
        found = {"sqlite": await _measure(server, scale)}
    with stores() as store, bellwire(settings=store.settings()) as server:
        found["postgresql"] = await _measure(server, scale)
    figures: dict[str, Figure] = {}
    remarks: list[str] = []
    for name, tallies in found.items():
        total = Tally()
        for kind, tally in tallies.items():
            total.add(tally)
            took = f"p50 {tally.percentile_ms(0.5):.1f} ms, p95 {tally.percentile_ms(0.95):.1f} ms"
            remarks.append(f"{STORES[name]}, {KINDS[kind]}: {took}")
        figures |= {name: Figure(total.percentile_ms(0.95)), f"{name} p50": Figure(total.percentile_ms(0.5))}
    return round_of(figures, [tally for tallies in found.values() for tally in tallies.values()], remarks)


SEARCH = Benchmark(
    "search",
    {
        key: line
        for name, title in STORES.items()
        for key, line in (
            (name, Line(f"a search in 1,000,000 messages, {title}, p95", "ms", Bound(150, "measured"))),
            (f"{name} p50", Line("the same, p50", "ms")),
        )
    },
    search,
)
