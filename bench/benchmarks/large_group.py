"""One message to a group of which everybody waits for it: how long from the first reader to the last, and what each costs."""

from pathlib import Path
from statistics import median

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.audience import Audience
from bench.load.client import Client
from bench.load.people import create_people
from bench.load.targets import Chat
from bench.servers.bellwire import ROOT, Bellwire, bellwire
from bench.servers.earlier import earlier
from bench.servers.processes import cpu_seconds

READERS = 3_000
MESSAGES = 6  # the first is not measured


class Spread:
    """Medians over the messages: ms from the first reader's parsed answer to the last's, and CPU µs of the gateway a reader."""

    def __init__(self, name: str, seconds: list[float], cpu_us: list[float]) -> None:
        self.ms, self.cpu_us = 1000 * median(seconds), median(cpu_us)
        each = ", ".join(f"{1000 * value:.0f}" for value in seconds)
        self.remark = f"{name}: first to last {each} ms; CPU of the gateway {self.cpu_us:.0f} µs a reader"


async def create_group(server: Bellwire, members: int) -> Chat:
    """Create a group, and the target that sends to it."""
    people, client = create_people(server, members), Client(server.port)
    body = {"members": [person.id for person in people[1:]], "title": "a group"}
    group = int((await client.call("POST", "/api/v1/conversations", people[0].token, body))["id"])
    client.close()
    return Chat(server.port, people, group)


async def measure(name: str, members: int, root: Path = ROOT) -> Spread:
    """Send one message after the other, each when all readers wait again."""
    seconds, cpu_us = [], []
    with bellwire(root=root) as server:
        target, gateway = await create_group(server, members), [server.gateway_pid()]
        audience = Audience(target)
        await audience.connect()
        for number in range(1, MESSAGES + 1):
            await audience.wait()
            used_s = cpu_seconds(gateway)
            times = await audience.times(target.send(0, number))
            cpu_us.append(1e6 * (cpu_seconds(gateway) - used_s) / members)
            seconds.append(times[-1] - times[0])
        audience.close()
    return Spread(name, seconds[1:], cpu_us[1:])


async def large_group(scale: Scale) -> Round:
    """Measure the commit before the wire, then today's code."""
    members = scale.count(READERS, 200)
    with earlier() as root:
        before = await measure("the commit before", members, root)
    now = await measure("bellwire", members)
    figures = {"spread": Figure(now.ms, before.ms), "cpu": Figure(now.cpu_us, before.cpu_us)}
    return round_of(figures, [], [before.remark, now.remark])


LARGE_GROUP = Benchmark(
    "large-group",
    {
        "spread": Line(
            "one message to 3,000 waiting readers: first to last parsed; floor: the commit before the wire", "ms", Bound(0.5)
        ),
        "cpu": Line("the same, CPU of the gateway a reader", "µs"),
    },
    large_group,
)
