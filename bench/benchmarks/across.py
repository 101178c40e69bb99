"""The cost of a delivery from one gateway to another, on PostgreSQL and Redis."""

from collections.abc import Sequence

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.benchmarks.delivery import READERS, Delivery, deliver
from bench.load.loops import percentile
from bench.load.targets import create_chat
from bench.servers.bellwire import bellwire
from bench.servers.stores import stores

CROSSING = (False, True, True, False)  # whether the readers of a load poll the other gateway; a slow drift affects both alike
NUMBERS_PER_LOAD = 100_000


def _delay_ms(deliveries: Sequence[Delivery], share: float) -> float:
    """Return a percentile of all delays of some loads, in milliseconds."""
    return 1000 * percentile([delay for each in deliveries for delay in each.delays_s], share)


async def across(scale: Scale) -> Round:
    """Run two gateways; send everything to the first, and let the readers poll one or the other."""
    seconds = scale.seconds(6, 2)
    same: list[Delivery] = []
    other: list[Delivery] = []
    with stores() as store, bellwire(settings=store.settings()) as server:
        sending = create_chat(server, READERS)
        beyond = sending.through(server.start_second_gateway())
        for index, crosses in enumerate(CROSSING):
            found = await deliver(sending, seconds, 1 + index * NUMBERS_PER_LOAD, beyond if crosses else sending)
            (other if crosses else same).append(found)
    figures = {
        "p50": Figure(_delay_ms(other, 0.5), _delay_ms(same, 0.5)),
        "p99": Figure(_delay_ms(other, 0.99), _delay_ms(same, 0.99)),
        "wrong": Figure(sum(each.wrong for each in other), sum(each.wrong for each in same)),
    }
    remarks = [f"one gateway: {each.remark}" for each in same] + [f"across: {each.remark}" for each in other]
    return round_of(figures, [*same, *other], remarks)


_REACH = Bound(1.5)
ACROSS = Benchmark(
    "across",
    {
        "p50": Line("send on one gateway to parsed at another, 200/s, p50; floor: on one gateway", "ms", _REACH),
        "p99": Line("the same, p99", "ms", _REACH),
        "wrong": Line("the same, lost or doubled", "", Bound(0, "measured")),
    },
    across,
)
