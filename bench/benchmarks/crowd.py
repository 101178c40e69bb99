"""The time of a send into a large group."""

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client
from bench.load.loops import Tally, closed_loop
from bench.load.people import create_people
from bench.load.targets import USERS, Chat, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire


async def _send_to_group(server: Bellwire, members: int, admins: int, seconds: float) -> Tally:
    """Send over one connection into one group, each message by another member, while the worker notifies the members."""
    create_people(server, admins, "admin", role="admin", tokens=False)
    speakers = create_people(server, min(USERS, members), "speaker")
    listeners = create_people(server, members - len(speakers), "listener", tokens=False)
    body = {"members": [person.id for person in [*speakers[1:], *listeners]], "title": "a group"}
    client = Client(server.port)
    group = int((await client.call("POST", "/api/v1/conversations", speakers[0].token, body))["id"])
    client.close()
    return await closed_loop(Chat(server.port, speakers, group), 1, numbers(), seconds)


async def crowd(scale: Scale) -> Round:
    """Send to direct conversations on a fresh server, then to a group of 3,000 on a fresh server with 3,000 admins."""
    many, seconds = scale.count(3_000, 300), scale.seconds(5, 2)
    with bellwire() as server:
        pairs = await closed_loop(create_chat(server), 1, numbers(), seconds)
    with bellwire() as server:
        group = await _send_to_group(server, many, many, seconds)
    remarks = [f"2 members, 1 admin: {pairs.summary()}", f"{many:,} members, {many:,} admins: {group.summary()}"]
    return round_of({"p50": Figure(group.percentile_ms(0.5), pairs.percentile_ms(0.5))}, [pairs, group], remarks)


CROWD = Benchmark(
    "crowd",
    {"p50": Line("send p50 to 3,000 members with 3,000 admins; floor: to 2 members", "ms", Bound(1.2), Bound(1.05))},
    crowd,
)
