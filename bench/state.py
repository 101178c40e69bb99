"""How long an app waits when it opens: the state and the list of a person with 200 conversations."""

from time import perf_counter

from bench.client import Client, raw_request
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Tally, timed_request
from bench.people import Person, make_people
from bench.server import bellwire

CONVERSATIONS = 200


async def _busy_person(client: Client, admin_token: str) -> Person:
    """Make a person who got a message from each of 200 others."""
    person, *others = await make_people(client, admin_token, CONVERSATIONS + 1, "busy")
    for other in others:
        await client.call("POST", "/api/v1/messages", other.token, {"to": person.id, "body": "are you there?"})
    return person


async def _timed(client: Client, path: str, token: str, times: int) -> Tally:
    """Get a page again and again, after five times to warm up."""
    tally, start = Tally(), perf_counter()
    for turn in range(times + 5):
        await timed_request(client, raw_request("GET", path, token), 200, tally if turn >= 5 else Tally())
    tally.wall_s = perf_counter() - start
    return tally


async def state(scale: Scale) -> Outcome:
    """Both pages, on one connection."""
    times = scale.count(300, 50)
    with bellwire() as server:
        client = Client(server.port)
        person = await _busy_person(client, server.admin_token)
        found = len((await client.call("GET", "/api/v1/state", person.token))["conversations"])
        opened = await _timed(client, "/api/v1/state", person.token, times)
        listed = await _timed(client, f"/api/v1/conversations?limit={CONVERSATIONS}", person.token, times)
        client.close()
    return Outcome(
        {"state": (opened.percentile_ms(0.95), None), "list": (listed.percentile_ms(0.95), None)},
        opened.failed + listed.failed,
        opened.first_failure or listed.first_failure,
        [
            f"{found} conversations in the state; p50 {opened.percentile_ms(0.5):.1f} ms, "
            f"of the list {listed.percentile_ms(0.5):.1f} ms"
        ],
    )


_BOUNDS = Bound(30, "measured"), Bound(10, "measured")
STATE = Benchmark(
    "state",
    {
        "state": Line("`/state` with 200 conversations, p95", "ms", *_BOUNDS),
        "list": Line("`/conversations?limit=200`, p95", "ms", *_BOUNDS),
    },
    state,
)
