"""The sends of ordinary people beside each attack of an account or of strangers, with default settings and limits on."""

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.hostile.battery import ATTACKS, Effect, measure
from bench.hostile.scene import server_errors

SEED = 1
MEMORY = Bound(64, "measured")


def _remark(effect: Effect) -> str:
    answers = ", ".join(f"{count:,} × {status or 'closed'}" for status, count in sorted(effect.answers.items()))
    return f"{effect.name}: p50 {effect.p50_ms:.2f} ms, without {effect.p50_without_ms:.2f} ms; the attacker's answers: {answers}"


async def hostile(scale: Scale) -> Round:
    """Run every attack against a fresh server of its own."""
    found = [await measure(attack, scale.seconds(15, 3), SEED) for attack in ATTACKS.values()]
    figures = {effect.name: Figure(effect.p99_ms, effect.p99_without_ms) for effect in found}
    figures |= {f"{effect.name} memory": Figure(effect.memory_mb) for effect in found}
    failed = sum(effect.failed + server_errors(effect.answers) for effect in found)
    first = next((f"{effect.name}: {effect.first_failure}" for effect in found if effect.first_failure), "")
    return Round(figures, failed, first, [_remark(effect) for effect in found])


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
