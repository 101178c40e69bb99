"""The table: ratios of medians, and bounds that are judged by the right value."""

from bench.benchmark import Bound, Figure, Line, Round
from bench.report import section
from bench.results import BenchmarkResult, Machine, Run, Settings

MACHINE = Machine("a CPU", 2, 8.0, "Linux 6", 0.1, 0.2)


def run(result: BenchmarkResult, *, quick: bool = False) -> Run:
    """Return a run with one benchmark called "name"."""
    settings = Settings(rounds=len(result.rounds), quick=quick, limits="on", durability="full")
    return Run("2026-01-02T03:04:05Z", 1.0, MACHINE, {"python": "3.11"}, settings, {"name": result})


def cells(line: Line, *figures: Figure) -> list[str]:
    """Return the cells of a one-line table, without the name."""
    text = section(run(BenchmarkResult({"key": line}, [Round({"key": figure}) for figure in figures])))
    row = next(line for line in text.splitlines() if line.startswith("| `name`"))
    return [cell.strip() for cell in row.strip("|").split("|")][2:]


def test_the_ratio_is_that_of_the_medians() -> None:
    line = Line("sends", "/s", Bound(0.5, at_least=True), Bound(0.8, at_least=True))
    assert cells(line, Figure(4000, 8000), Figure(5000, 7000), Figure(6000, 9000)) == [
        *("5,000 /s (4,000–6,000)", "8,000 /s (7,000–9,000)", "0.62", "≥ 0.5 ✓", "≥ 0.8 ✗", "on")
    ]


def test_a_line_without_a_floor_is_judged_by_the_measured_value() -> None:
    line = Line("state", "ms", Bound(30, "measured"), Bound(10, "measured"))
    assert cells(line, Figure(12.345)) == ["12.3 ms", "–", "–", "≤ 30 ms ✓", "≤ 10 ms ✗", "on"]


def test_a_round_that_measured_nothing_keeps_no_bound() -> None:
    line = Line("state", "ms", Bound(30, "measured"))
    assert cells(line, Figure(5), Figure(None)) == ["nothing measured", "–", "–", "≤ 30 ms ✗", "–", "on"]


def test_failed_requests_and_rounds_are_listed() -> None:
    failed = run(BenchmarkResult({}, [Round({}, 2, "503 busy"), Round({}, 1, "later")], ["OSError: gone"]))
    assert not failed.succeeded
    text = section(failed)
    assert "- `name`: 3 requests failed, the first: 503 busy" in text
    assert "- `name`, a round without a result: OSError: gone" in text
    assert "Failed requests: none." in section(run(BenchmarkResult({}, [])))


def test_a_quick_run_says_so_and_names_machine_and_versions() -> None:
    text = section(run(BenchmarkResult({}, []), quick=True))
    assert "Do not quote" in text
    assert "a CPU, 2 cores, 8.0 GB, Linux 6" in text
    assert "python 3.11" in text
