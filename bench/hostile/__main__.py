"""Run each attack beside 50 ordinary senders and print its effect on them: p50, p99, refusals, memory."""

import argparse
import sys

import uvloop

from bench.hostile.battery import ATTACKS, Effect, measure
from bench.hostile.scene import server_errors
from bench.servers.processes import raise_open_files

HEAD = f"{'attack':<20}{'p50':>8}{'p99':>9}{'without':>10}{'ratio':>8}{'refused':>9}{'memory':>10}  the attacker's answers"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(ATTACKS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=15, help="how long each attack lasts (default 15)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of what is random in the attacks (default 1)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - ATTACKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return arguments


def row(effect: Effect) -> str:
    """Return an effect as a line of the table: times in ms, the growth of the gateway's memory in MB."""
    answers = ", ".join(f"{count:,} × {status or 'closed'}" for status, count in sorted(effect.answers.items()))
    return (
        f"{effect.name:<20}{effect.p50_ms:>8.2f}{effect.p99_ms:>9.2f}{effect.p99_without_ms:>10.2f}{effect.ratio:>8.2f}"
        f"{effect.failed:>9}{effect.memory_mb:>+10.1f}  {answers}"
    )


def main() -> int:
    """Run the attacks; return 1 when an ordinary sender was refused or an answer was a server error."""
    arguments = _arguments()
    raise_open_files()
    print(f"seed {arguments.seed}; times in ms, memory in MB\n{HEAD}", flush=True)
    broken = 0
    for name in arguments.names or ATTACKS:
        effect = uvloop.run(measure(ATTACKS[name], arguments.seconds, arguments.seed))
        print(row(effect), flush=True)
        broken += effect.failed + server_errors(effect.answers)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
