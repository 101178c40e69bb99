"""Whether a send costs more when thousands will hear of it."""

from collections.abc import Sequence

from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Tally, closed_loop
from bench.people import Person, make_people
from bench.server import Bellwire, bellwire
from bench.targets import Chat, numbers


async def _group(client: Client, members: Sequence[Person]) -> int:
    """Make a group of all members, owned by the first; return its id."""
    body = {"members": [person.id for person in members[1:]], "title": "a group"}
    return int((await client.call("POST", "/api/v1/conversations", members[0].token, body))["id"])


async def _sends(server: Bellwire, members: int, admins: int, seconds: float) -> Tally:
    """Send into a group over one connection, while the drains tell whoever is to hear of it."""
    client = Client(server.port)
    token = server.admin_token
    await make_people(client, token, admins, "chief", role="admin", tokens=False)
    speakers = await make_people(client, token, 2, "speaker")
    listeners = await make_people(client, token, members - 2, "listener", tokens=False)
    group = await _group(client, [*speakers, *listeners])
    client.close()
    target = Chat(server.port, speakers, [{"conversation": group}] * 2)
    return await closed_loop(target, 1, numbers(), seconds)


async def crowd(scale: Scale) -> Outcome:
    """A group of two on a fresh server, then one of 3,000 on a fresh server with 3,000 admins."""
    many, seconds = scale.count(3_000, 300), scale.pick(5, 2)
    with bellwire() as server:
        few = await _sends(server, 2, 0, seconds)
    with bellwire() as server:
        crowded = await _sends(server, many, many, seconds)
    remarks = [
        f"{name}: {tally.rate:,.0f} sends/s, p50 {tally.percentile_ms(0.5):.2f} ms, p99 {tally.percentile_ms(0.99):.2f}"
        for name, tally in (("2 members, 1 admin", few), (f"{many:,} members, {many:,} admins", crowded))
    ]
    return Outcome(
        {"p50": (crowded.percentile_ms(0.5), few.percentile_ms(0.5))},
        few.failed + crowded.failed,
        few.first_failure or crowded.first_failure,
        remarks,
    )


CROWD = Benchmark(
    "crowd",
    {"p50": Line("send p50 to 3,000 members with 3,000 admins; floor: to 2 members", "ms", Bound(1.2), Bound(1.05))},
    crowd,
)
