"""The dashboards and rules as they are shipped, and what they ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.gateway.running import ROOT

GRAFANA = ROOT / "grafana"
PROMETHEUS = GRAFANA / "prometheus"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What Grafana puts in for its variables, at a scrape interval of a second.
VARIABLES = {
    "$__rate_interval": "30s",
    "$__range": "5m",
    "$job": "bellwire-.*",
    "$instance": ".*",
}


class Asked(NamedTuple):
    """One expression and where it stands."""

    where: str
    expr: str


def dashboard(path: Path) -> dict[str, Any]:
    """A dashboard's JSON."""
    return dict(json.loads(path.read_text()))


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel, with the file it is in."""
    for path in FILES:
        for panel in dashboard(path)["panels"]:
            yield path.stem, panel


def variables(path: Path) -> dict[str, dict[str, Any]]:
    """A dashboard's variables by name."""
    return {one["name"]: one for one in dashboard(path)["templating"]["list"]}


def panel_queries() -> list[Asked]:
    """Every panel's expressions, without `or vector(0)`, which would have data whatever it stands in for."""
    return [
        Asked(f"{file}: {panel['title']}", filled(target["expr"]).removesuffix(" or vector(0)"))
        for file, panel in panels()
        for target in panel["targets"]
    ]


def filled(expr: str) -> str:
    """An expression with values for Grafana's variables."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def rules(kind: str) -> list[Asked]:
    """The rules' expressions: `record` or `alert`. The files are written so that each rule begins with its name, and an
    expression is one line or a block."""
    found = []
    for path in RULES:
        for rule in re.split(r"\n(?= +- (?:record|alert): )", path.read_text())[1:]:
            head = re.match(rf" +- {kind}: (\S+)", rule)
            if head is None:
                continue
            block = re.search(r"\n        expr: (?:\|\n((?: {10}.*\n?)+)|(.+))", rule)
            assert block is not None, rule
            found.append(Asked(head[1], " ".join((block[1] or block[2]).split())))
    return found


def selectors(expr: str) -> list[str]:
    """The series that an expression reads, each as a query of its own."""
    return re.findall(r"(?:job:bellwire_\w+:\w+|\bbellwire_\w+|\bprocess_\w+|\bup\b)(?:\{[^}]*\})?", expr)
