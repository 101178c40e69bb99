"""Run benchmarks and write one JSON file under bench/results/; `report` renders bench/RESULTS.md from all of them."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence

import uvloop

from bench import machine, report, results
from bench.benchmark import Benchmark, Round, Scale
from bench.benchmarks.across import ACROSS
from bench.benchmarks.announce import ANNOUNCE, NOTIFY
from bench.benchmarks.backlog import BACKLOG
from bench.benchmarks.busy_page import BUSY_PAGE
from bench.benchmarks.crowd import CROWD
from bench.benchmarks.delivery import DELIVERY, MODEST
from bench.benchmarks.files import FILES
from bench.benchmarks.gateways import GATEWAYS
from bench.benchmarks.history import HISTORY
from bench.benchmarks.hostile import HOSTILE
from bench.benchmarks.idle import IDLE
from bench.benchmarks.jwt import JWT
from bench.benchmarks.large_group import LARGE_GROUP
from bench.benchmarks.like import LIKE
from bench.benchmarks.page import PAGE
from bench.benchmarks.restart import RESTART
from bench.benchmarks.scaled import SCALED
from bench.benchmarks.search import SEARCH
from bench.benchmarks.sends import ONE, SENDS
from bench.benchmarks.signup import SIGNUP
from bench.benchmarks.state import STATE
from bench.benchmarks.statements import STATEMENTS
from bench.benchmarks.upsert import UPSERTS
from bench.benchmarks.webhooks import WEBHOOKS
from bench.benchmarks.wire import WIRE
from bench.results import BenchmarkResult, Run, Settings
from bench.servers.processes import raise_open_files
from conf import Settings as BellwireSettings

ALL = (
    SENDS,
    ONE,
    DELIVERY,
    WIRE,
    IDLE,
    LARGE_GROUP,
    GATEWAYS,
    SCALED,
    JWT,
    LIKE,
    BACKLOG,
    MODEST,
    STATE,
    CROWD,
    SIGNUP,
    ANNOUNCE,
    NOTIFY,
    WEBHOOKS,
    HISTORY,
    UPSERTS,
    FILES,
    PAGE,
    BUSY_PAGE,
    SEARCH,
    STATEMENTS,
    ACROSS,
    RESTART,
    HOSTILE,
)
BENCHMARKS = {each.name: each for each in ALL}
REPORT = "report"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)} (default: all); or `{REPORT}` alone"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each benchmark (default 3)")
    parser.add_argument("--quick", action="store_true", help="small loads: to see that the benchmarks work, not for figures")
    parser.add_argument("--folder", help="the folder for temporary data (default: the system's)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown and arguments.names != [REPORT]:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def _print(text: str) -> None:
    """Print progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def _round(benchmark: Benchmark, scale: Scale) -> Round | str:
    """Run one round; return its result, or the text of the exception that ended it."""
    start = time.monotonic()
    try:
        result = uvloop.run(benchmark.run(scale))
    except Exception as error:  # the other benchmarks still run
        _print(f"    failed: {error!r}")
        return f"{type(error).__name__}: {error}"
    result.seconds = round(time.monotonic() - start, 1)
    for remark in result.remarks:
        _print(f"    {remark}")
    if result.failed:
        _print(f"    {result.failed} requests failed: {result.first_failure}")
    return result


def _benchmark(name: str, rounds: int, scale: Scale) -> BenchmarkResult:
    """Run all rounds of a benchmark."""
    result = BenchmarkResult(BENCHMARKS[name].lines, [], [])
    for number in range(1, rounds + 1):
        _print(f"{name}, round {number} of {rounds}")
        outcome = _round(BENCHMARKS[name], scale)
        if isinstance(outcome, Round):
            result.rounds.append(outcome)
        else:
            result.errors.append(outcome)
    return result


def run(names: Sequence[str], rounds: int, scale: Scale) -> Run:
    """Run the benchmarks one after the other."""
    raise_open_files()
    started, start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.monotonic()
    defaults = BellwireSettings.model_fields
    settings = Settings(rounds, scale.quick, "on" if defaults["rate_limits"].default else "off", defaults["durability"].default)
    described, versions = machine.describe(), machine.versions()
    measured = {name: _benchmark(name, rounds, scale) for name in names}
    return Run(started, round(time.monotonic() - start, 1), described, versions, settings, measured)


def main() -> int:
    """Run benchmarks or render the page; return 1 when a request or a round failed."""
    arguments = _arguments()
    if arguments.names == [REPORT]:
        print(report.write_page())
        return 0
    if arguments.folder:
        tempfile.tempdir = arguments.folder
    path = results.write(run(arguments.names or list(BENCHMARKS), arguments.rounds, Scale(quick=arguments.quick)))
    written = results.read(path)
    print(report.section(written))
    print(f"{path}; `python -m bench report` renders bench/RESULTS.md")
    return 0 if written.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
