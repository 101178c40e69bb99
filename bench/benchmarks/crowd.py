"""The time of a send into a large group whose members are notified of all messages, and what its notifications cost."""

from time import perf_counter

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.benchmarks.backlog import wait_until_drained
from bench.load.client import Client
from bench.load.loops import Tally, closed_loop
from bench.load.people import create_people
from bench.load.store import count_rows, notify_all
from bench.load.targets import USERS, Chat, create_chat, numbers
from bench.servers.bellwire import Bellwire, bellwire

FIRST = 50  # messages that each member is notified of, before the rows are counted
COUNTED = 200  # further messages while those are unread


async def _create_group(server: Bellwire, members: int, admins: int) -> Chat:
    """Create a group whose members are away and notified of all messages."""
    create_people(server, admins, "admin", role="admin", tokens=False)
    speakers = create_people(server, min(USERS, members), "speaker")
    listeners = create_people(server, members - len(speakers), "listener", tokens=False)
    body = {"members": [person.id for person in [*speakers[1:], *listeners]], "title": "a group"}
    client = Client(server.port)
    group = int((await client.call("POST", "/api/v1/conversations", speakers[0].token, body))["id"])
    client.close()
    await wait_until_drained(server)
    notify_all(server)
    return Chat(server.port, speakers, group)


async def _send_counted(server: Bellwire, members: int) -> tuple[Tally, float, float]:
    """Send while the members have unread notifications; return the load, the rows a message, and the seconds until all is done."""
    chat = await _create_group(server, members, 1)
    await closed_loop(chat, 1, numbers(), count=FIRST)
    await wait_until_drained(server)
    before = count_rows(server)
    sent = await closed_loop(chat, 1, numbers(FIRST), count=COUNTED)
    began = perf_counter()
    await wait_until_drained(server)
    seconds = perf_counter() - began
    return sent, (count_rows(server) - before) / COUNTED, seconds


async def crowd(scale: Scale) -> Round:
    """Send to direct conversations, to a group of 3,000 beside 3,000 admins while the worker notifies all of them, and to one whose
    members have unread notifications, to count the rows; each on a fresh server."""
    many, seconds = scale.count(3_000, 300), scale.seconds(5, 2)
    with bellwire() as server:
        pairs = await closed_loop(create_chat(server), 1, numbers(), seconds)
    with bellwire() as server:
        group = await closed_loop(await _create_group(server, many, many), 1, numbers(), seconds)
    with bellwire() as server:
        counted, rows, behind_s = await _send_counted(server, many)
    remarks = [
        f"2 members, 1 admin: {pairs.summary()}",
        f"{many:,} members, {many:,} admins: {group.summary()}",
        f"{COUNTED} messages to {many:,} members with unread notifications: {rows:.2f} rows each, done after {behind_s:.1f} s",
    ]
    figures = {
        "p50": Figure(group.percentile_ms(0.5), pairs.percentile_ms(0.5)),
        "rows": Figure(rows),
        "done": Figure(behind_s),
    }
    return round_of(figures, [pairs, group, counted], remarks)


CROWD = Benchmark(
    "crowd",
    {
        "p50": Line("send p50 to 3,000 members with 3,000 admins; floor: to 2 members", "ms", Bound(1.2), Bound(1.05)),
        "rows": Line("rows that a message to 3,000 members with unread notifications writes", "", Bound(4, "measured")),
        "done": Line("until all of 200 such messages are processed", "s", Bound(5, "measured")),
    },
    crowd,
)
