"""What a benchmark declares and what it found, the medians of its runs, and the table."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True)
class Bound:
    """A reach or an aim: of the measured value or of its ratio to the floor, from above or from below."""

    value: float
    of: Literal["ratio", "measured"] = "ratio"
    least: bool = False

    def shown(self, unit: str) -> str:
        """Return it as in "≤ 30 ms"."""
        return f"{'≥' if self.least else '≤'} {self.value:g}{' ' + unit if self.of == 'measured' else ''}".strip()

    def holds(self, measured: float, ratio: float | None) -> bool | None:
        """Tell whether it is kept, None when there is nothing to tell it by."""
        value = measured if self.of == "measured" else ratio
        if value is None:
            return None
        return value >= self.value if self.least else value <= self.value


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    unit: str
    reach: Bound | None = None
    aim: Bound | None = None


@dataclass
class Outcome:
    """What one run found: (measured, floor) for each line and what else there is, how many requests went wrong, and remarks."""

    values: dict[str, tuple[float, float | None]]
    failed: int = 0
    first_failure: str = ""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scale:
    """How much a run does."""

    quick: bool = False

    def pick(self, full: float, quick: float) -> float:
        """Return one or the other."""
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        """Return one or the other."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Benchmark:
    """A row of the command line: some lines that are measured together, floor and Bellwire in turn.

    `beneath` makes text that follows the table of the medians of all that was measured.
    """

    name: str
    lines: dict[str, Line]
    run: Callable[[Scale], Coroutine[Any, Any, Outcome]]
    beneath: Callable[[Mapping[str, float]], str] | None = None


TABLE_HEAD = "| what | measured | floor | ratio | reach | aim |\n|---|---|---|---|---|---|"


def table_rows(benchmark: Benchmark, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a table row for each line: medians, and the range in parentheses where there were several runs."""
    return [
        _row(f"`{benchmark.name}` {line.what}", line, [outcome.values[key] for outcome in outcomes])
        for key, line in benchmark.lines.items()
    ]


def text_beneath(benchmark: Benchmark, outcomes: Sequence[Outcome]) -> list[str]:
    """Return what the benchmark has to say besides its lines."""
    if benchmark.beneath is None:
        return []
    return [benchmark.beneath({key: median(outcome.values[key][0] for outcome in outcomes) for key in outcomes[0].values})]


def _row(title: str, line: Line, values: Sequence[tuple[float, float | None]]) -> str:
    measured = [value for value, _ in values]
    floors = [value for _, value in values if value is not None]
    ratio = median(measured) / median(floors) if floors and median(floors) else None
    cells = [
        title,
        _spread(measured, line.unit),
        _spread(floors, line.unit) if floors else "–",
        f"{ratio:.2f}" if ratio is not None else "–",
        _judged(line.reach, line.unit, median(measured), ratio),
        _judged(line.aim, line.unit, median(measured), ratio),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], unit: str) -> str:
    text = f"{number(median(values))} {unit}".strip()
    return text if len(values) == 1 else f"{text} ({number(min(values))}–{number(max(values))})"


def _judged(bound: Bound | None, unit: str, measured: float, ratio: float | None) -> str:
    if bound is None:
        return "–"
    return bound.shown(unit) + {True: " ✓", False: " ✗", None: ""}[bound.holds(measured, ratio)]


def number(value: float) -> str:
    """Return a figure with three significant digits, and thousands in full: 0.182, 17.3, 7,481."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.3g}"
