"""The declaration of a benchmark (its lines and their bounds), and the result of one round."""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec


class Bound(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit for the measured value, or for its ratio to the floor; an upper limit unless `at_least`."""

    value: float
    of: Literal["ratio", "measured"] = "ratio"
    at_least: bool = False

    def text(self, unit: str) -> str:
        """Return the bound as text, for example "≤ 30 ms"."""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.value:g}{' ' + unit if self.of == 'measured' else ''}".strip()

    def holds(self, measured: float, ratio: float | None) -> bool | None:
        """Return whether the bound holds, or None when it bounds a ratio and there is no floor."""
        value = measured if self.of == "measured" else ratio
        if value is None:
            return None
        return value >= self.value if self.at_least else value <= self.value


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the table: `reach` is the bound to keep, `aim` a stricter one."""

    title: str
    unit: str
    reach: Bound | None = None
    aim: Bound | None = None


class Figure(msgspec.Struct):
    """A measured value and the floor's value in the same round; None stands for nothing measured (NaN in JSON)."""

    measured: float | None
    floor: float | None = None


class Round(msgspec.Struct):
    """The result of one round: a figure for each line, the failed requests, and remarks for the reader of the JSON file."""

    figures: dict[str, Figure]
    failed: int = 0
    first_failure: str = ""
    remarks: list[str] = []
    seconds: float = 0.0


class Load(Protocol):
    """A finished load with its failures."""

    failed: int
    first_failure: str


def round_of(figures: dict[str, Figure], loads: Iterable[Load], remarks: list[str]) -> Round:
    """Return a round with the failures of all its loads."""
    failures = list(loads)
    first = next((load.first_failure for load in failures if load.first_failure), "")
    return Round(figures, sum(load.failed for load in failures), first, remarks)


@dataclass(frozen=True)
class Scale:
    """The size of a round; a quick one shows that a benchmark works, not how fast Bellwire is."""

    quick: bool = False

    def seconds(self, full: float, quick: float) -> float:
        """Return the duration of a load."""
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        """Return the size of a load."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Benchmark:
    """Lines that are measured together: the floor and Bellwire one after the other in each round."""

    name: str
    lines: dict[str, Line]
    run: Callable[[Scale], Coroutine[Any, Any, Round]]
