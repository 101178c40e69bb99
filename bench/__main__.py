"""`python -m bench [NAME ...] [--runs N] [--quick]`: run the benchmarks and print one table."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.across import ACROSS
from bench.announce import ANNOUNCE
from bench.background import BACKLOG
from bench.bulk import BULK
from bench.client import raise_open_files
from bench.crowd import CROWD
from bench.delivery import DELIVERY
from bench.figures import TABLE_HEAD, Benchmark, Outcome, Scale, table_rows, text_beneath
from bench.footprint import IDLE, MODEST
from bench.heard import HEARD
from bench.like import LIKE
from bench.live import TYPING
from bench.machine import describe
from bench.mail import MAIL
from bench.metricscost import METRICSCOST
from bench.page import PAGE
from bench.records import ACTIVITY, ARCHIVING, EXPORT
from bench.scaled import SCALED
from bench.sends import ONE, SENDS
from bench.signup import SIGNUP
from bench.state import STATE
from bench.suspend import SUSPEND

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
ALL = (
    SENDS,
    ONE,
    METRICSCOST,
    LIKE,
    DELIVERY,
    BACKLOG,
    IDLE,
    TYPING,
    STATE,
    MODEST,
    CROWD,
    BULK,
    SIGNUP,
    MAIL,
    ANNOUNCE,
    HEARD,
    SUSPEND,
    ACTIVITY,
    EXPORT,
    ARCHIVING,
    PAGE,
    SCALED,
    ACROSS,
)
BENCHMARKS = {each.name: each for each in ALL}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default all): {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--quick", action="store_true", help="less of everything: whether it works, not how fast")
    parser.add_argument("--folder", help="where the temporary data goes (default: the system's temporary folder)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown or arguments.runs < 1:
        parser.error(f"unknown: {', '.join(sorted(unknown))}" if unknown else "--runs must be at least 1")
    return arguments


def _say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


def _run(benchmark: Benchmark, run: int, scale: Scale) -> Outcome | str:
    """Run once; return what was found, or why nothing was."""
    start = time.monotonic()
    _say(f"{benchmark.name}, run {run}")
    try:
        outcome = uvloop.run(benchmark.run(scale))
    except Exception as error:  # one benchmark that cannot run must not hide the others
        _say(f"    failed: {error!r}")
        return f"{type(error).__name__}: {error}"
    for remark in outcome.remarks:
        _say(f"    {remark}")
    if outcome.failed:
        _say(f"    {outcome.failed} requests failed: {outcome.first_failure}")
    _say(f"    {time.monotonic() - start:.0f} s")
    return outcome


def _report(found: dict[str, list[Outcome | str]], runs: int, quick: bool) -> tuple[str, bool]:
    """Return the table with what went wrong beneath it, and whether all went well."""
    rows, wrong, beneath = [TABLE_HEAD], [], []
    for name, results in found.items():
        outcomes = [result for result in results if isinstance(result, Outcome)]
        if outcomes:
            rows += table_rows(BENCHMARKS[name], outcomes)
            beneath += text_beneath(BENCHMARKS[name], outcomes)
        wrong += [f"- `{name}`, a run that gave nothing: {text[:300]}" for text in results if isinstance(text, str)]
        failed = sum(outcome.failed for outcome in outcomes)
        why = next((outcome.first_failure for outcome in outcomes if outcome.first_failure), "")
        wrong += [f"- `{name}`: {failed} requests failed, the first: {why[:300]}"] if failed else []
    how = f"{'Quick: with smaller loads than the rows say. ' if quick else ''}Medians of {runs} runs, the range in parentheses."
    failures = "\n".join(["Failed requests:", *wrong]) if wrong else "Failed requests: none."
    return "\n\n".join(["\n".join(rows), failures, f"{how} {describe()}", *beneath]), not wrong


def main() -> int:
    """Run what was asked for; the exit status is 1 when a request or a run failed."""
    arguments = _arguments()
    raise_open_files()
    if arguments.folder:
        tempfile.tempdir = arguments.folder
    scale = Scale(quick=arguments.quick)
    found: dict[str, list[Outcome | str]] = {}
    for name in arguments.names or BENCHMARKS:
        found[name] = [_run(BENCHMARKS[name], run + 1, scale) for run in range(arguments.runs)]
    table, well = _report(found, arguments.runs, scale.quick)
    print(table)
    if not arguments.names and not scale.quick:
        RESULTS.write_text(f"# What was measured\n\n`python -m bench` wrote this page.\n\n{table}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
