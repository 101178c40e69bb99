"""`bench/RESULTS.md`, rendered from the result files; nothing else writes that page."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.benchmark import Bound, Figure, Line
from bench.results import BenchmarkResult, Machine, Run, Settings, read_all

PAGE = Path(__file__).resolve().parent / "RESULTS.md"
TABLE_HEAD = "| benchmark | what | measured | floor | ratio | reach | aim | limits |\n|---|---|---|---|---|---|---|---|"
INTRODUCTION = """\
# Benchmark results

`python -m bench report` renders this page from the files in [results/](results/), one for each run, the newest first. Do not edit
it: `python -m bench` writes a new file, then render the page again.

- **measured** is the median of the rounds, with the lowest and the highest in parentheses. **floor** is the same for the comparison
  that the line names, measured in the same rounds. **ratio** divides the two medians. Compare ratios: single figures drift by ±15 %
  on shared machines.
- **reach** is the bound to keep and **aim** a stricter one. A bound with a unit is for the measured value, the others are for the
  ratio.
- **limits** is `on` when Bellwire's default rate limits were on. Loads are spread over so many users that none meets a limit. A
  refused request counts as failed.
"""
QUICK = "**A quick run with small loads: it shows that the benchmarks work. Do not quote its figures.**"


def page() -> str:
    """Render all result files."""
    return "\n".join([INTRODUCTION, *map(section, read_all())])


def write_page() -> Path:
    """Write RESULTS.md; return its path."""
    PAGE.write_text(page())
    return PAGE


def section(run: Run) -> str:
    """Return a run as a section of the page: machine, table, failures."""
    paragraphs = [
        f"## {run.started}: {', '.join(run.benchmarks)}",
        _described(run.machine, run.versions, run.settings),
        *([QUICK] if run.settings.quick else []),
        "\n".join([TABLE_HEAD, *_rows(run)]),
        _failures(run.benchmarks),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _described(machine: Machine, versions: dict[str, str], settings: Settings) -> str:
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:.1f} GB, {machine.kernel}; disk: fdatasync "
        f"{machine.fdatasync_ms:.2f} ms, an SQLite commit of one row {machine.sqlite_commit_ms:.2f} ms. {names}. "
        f"Rounds: {settings.rounds}; durability: {settings.durability}."
    )


def _rows(run: Run) -> list[str]:
    return [
        _row(name, line, [each.figures[key] for each in result.rounds], run.settings.limits)
        for name, result in run.benchmarks.items()
        for key, line in result.lines.items()
        if result.rounds
    ]


def _row(name: str, line: Line, figures: Sequence[Figure], limits: str) -> str:
    measured = [figure.measured for figure in figures if figure.measured is not None]
    floors = [figure.floor for figure in figures if figure.floor is not None]
    complete = len(measured) == len(figures)
    ratio = median(measured) / median(floors) if measured and floors and median(floors) else None
    value = median(measured) if complete else None
    cells = [
        f"`{name}`",
        line.title,
        _spread(measured, line.unit) if complete else "nothing measured",
        _spread(floors, line.unit) if floors else "–",
        f"{ratio:.2f}" if ratio is not None and complete else "–",
        _judged(line.reach, line.unit, value, ratio),
        _judged(line.aim, line.unit, value, ratio),
        limits,
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], unit: str) -> str:
    text = f"{number(median(values))} {unit}".strip()
    return text if len(values) == 1 else f"{text} ({number(min(values))}–{number(max(values))})"


def _judged(bound: Bound | None, unit: str, measured: float | None, ratio: float | None) -> str:
    if bound is None:
        return "–"
    holds = measured is not None and bound.holds(measured, ratio)
    return bound.text(unit) + {True: " ✓", False: " ✗", None: ""}[holds]


def _failures(results: dict[str, BenchmarkResult]) -> str:
    lines = [f"- `{name}`, a round without a result: {text[:300]}" for name, result in results.items() for text in result.errors]
    for name, result in results.items():
        if result.failed:
            first = next((each.first_failure for each in result.rounds if each.first_failure), "")
            lines.append(f"- `{name}`: {result.failed} requests failed, the first: {first[:300]}")
    return "\n".join(["Failed requests:", "", *lines]) if lines else "Failed requests: none."


def number(value: float) -> str:
    """Return a figure with three significant digits, and thousands in full: 0.182, 17.3, 7,481."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.3g}"
