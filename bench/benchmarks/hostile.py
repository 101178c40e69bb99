"""What ordinary senders feel beside each attack of a hostile account or of strangers, with default settings and limits on."""

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.hostile.battery import ATTACKS, Felt, measure
from bench.hostile.scene import server_errors

SEED = 1
MEMORY = Bound(64, "measured")


def _remark(felt: Felt) -> str:
    answers = ", ".join(f"{count:,} × {status or 'closed'}" for status, count in sorted(felt.answers.items()))
    return f"{felt.name}: p50 {felt.p50_ms:.2f} ms, without {felt.p50_without_ms:.2f} ms; the attacker's answers: {answers}"


async def hostile(scale: Scale) -> Round:
    """Run every attack against a fresh server of its own."""
    found = [await measure(attack, scale.seconds(15, 3), SEED) for attack in ATTACKS.values()]
    figures = {felt.name: Figure(felt.p99_ms, felt.p99_without_ms) for felt in found}
    figures |= {f"{felt.name} memory": Figure(felt.memory_mb) for felt in found}
    failed = sum(felt.failed + server_errors(felt.answers) for felt in found)
    first = next((f"{felt.name}: {felt.first_failure}" for felt in found if felt.first_failure), "")
    return Round(figures, failed, first, [_remark(felt) for felt in found])


HOSTILE = Benchmark(
    "hostile",
    {
        **{each.name: Line(f"send p99 of others beside {each.what}; floor: without", "ms", Bound(2)) for each in ATTACKS.values()},
        **{
            f"{name} memory": Line(f"growth of the gateway's memory beside `{name}`", "MB", Bound(64, "measured"))
            for name in ATTACKS
        },
    },
    hostile,
)
