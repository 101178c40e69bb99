"""What it costs a delivery to cross from one gateway to another, on PostgreSQL and Redis."""

from collections.abc import Sequence

from bench.delivery import READERS, Delivered, deliver
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import percentile
from bench.server import bellwire
from bench.stores import stores
from bench.targets import chat

ROUNDS = (False, True, True, False)  # whether the readers are at the other gateway: whatever drifts drifts for both alike
NUMBERS_A_ROUND = 100_000


def _ms(rounds: Sequence[Delivered], share: float) -> float:
    """Return a percentile of all delays of some rounds."""
    return 1000 * percentile([delay for one in rounds for delay in one.delays_s], share)


async def across(scale: Scale) -> Outcome:
    """Both gateways run all the time; all sends go to the first, the readers poll the one or the other."""
    seconds = scale.pick(6, 2)
    rounds: dict[bool, list[Delivered]] = {False: [], True: []}
    with stores() as store, bellwire(settings=store.settings()) as server:
        here = await chat(server, READERS)
        there = here.through(server.another_gateway()[0])
        for turn, crosses in enumerate(ROUNDS):
            reading = there if crosses else here
            rounds[crosses].append(await deliver(here, seconds, 1 + turn * NUMBERS_A_ROUND, reading))
    every = rounds[False] + rounds[True]
    return Outcome(
        {
            "p50": (_ms(rounds[True], 0.5), _ms(rounds[False], 0.5)),
            "p99": (_ms(rounds[True], 0.99), _ms(rounds[False], 0.99)),
            "wrong": (sum(one.wrong for one in rounds[True]), sum(one.wrong for one in rounds[False])),
        },
        sum(one.failed for one in every),
        next((one.first_failure for one in every if one.first_failure), ""),
        [f"{'across' if crosses else 'one gateway'}: {one.remark}" for crosses in rounds for one in rounds[crosses]],
    )


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
