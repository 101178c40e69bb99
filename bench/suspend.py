"""Suspending many at once: what one call for all is worth against a call each, and how long 10,000 take."""

from time import perf_counter

from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.people import Person, make_people
from bench.server import Bellwire, bellwire


async def _suspended(client: Client, server: Bellwire, people: list[Person], a_call: int) -> float:
    """Suspend these, so many a call; return the seconds it took."""
    start = perf_counter()
    for first in range(0, len(people), a_call):
        ids = [person.id for person in people[first : first + a_call]]
        told = await client.call("POST", "/api/v1/admin/users/suspend", server.admin_token, {"ids": ids})
        assert told["changed"] == ids
    return perf_counter() - start


async def suspend(scale: Scale) -> Outcome:
    """100 one by one, 100 more at once, then 10,000 at once, on a fresh server with its worker."""
    some, many = scale.count(100, 30), scale.count(10_000, 1_000)
    with bellwire() as server:
        client = Client(server.port)
        people = await make_people(client, server.admin_token, 2 * some + many, "person", tokens=False)
        one = await _suspended(client, server, people[:some], 1)
        bulk = await _suspended(client, server, people[some : 2 * some], some)
        all_s = await _suspended(client, server, people[2 * some :], many)
        client.close()
    remark = f"{some} one by one: {one:.3f} s, at once: {bulk:.3f} s; {many:,} at once: {all_s:.2f} s"
    return Outcome({"rate": (some / bulk, some / one), "all": (all_s, None)}, 0, "", [remark])


SUSPEND = Benchmark(
    "suspend",
    {
        "rate": Line("accounts suspended, 100 in one call; floor: a call each", "/s", Bound(20, least=True), Bound(50, least=True)),
        "all": Line("10,000 accounts suspended in one call", "s", Bound(2, "measured"), Bound(1, "measured")),
    },
    suspend,
)
