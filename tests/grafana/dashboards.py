"""The dashboards and rules as they are shipped, and their queries."""

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
# The values that Grafana inserts for its variables, at a scrape interval of a second.
VARIABLES = {
    "$__rate_interval": "30s",
    "$__range": "5m",
    "$job": "bellwire-.*",
    "$instance": ".*",
}


class Query(NamedTuple):
    """An expression, and the panel or rule that contains it."""

    where: str
    expr: str


def dashboard(path: Path) -> dict[str, Any]:
    """Return a dashboard's JSON."""
    return dict(json.loads(path.read_text()))


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every panel with the name of its file."""
    for path in FILES:
        for panel in dashboard(path)["panels"]:
            yield path.stem, panel


def variables(path: Path) -> dict[str, dict[str, Any]]:
    """Return a dashboard's variables by name."""
    return {variable["name"]: variable for variable in dashboard(path)["templating"]["list"]}


def panel_queries() -> list[Query]:
    """Return every panel's expressions, without `or vector(0)`, which always has data."""
    return [
        Query(f"{file}: {panel['title']}", filled(target["expr"]).removesuffix(" or vector(0)"))
        for file, panel in panels()
        for target in panel["targets"]
    ]


def filled(expr: str) -> str:
    """Return an expression with values for Grafana's variables."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def rules(kind: str) -> list[Query]:
    """Return the expressions of all rules of a kind, `record` or `alert`. In the files each rule begins with its name, and an
    expression is one line or a block."""
    queries = []
    for path in RULES:
        for rule in re.split(r"\n(?= +- (?:record|alert): )", path.read_text())[1:]:
            head = re.match(rf" +- {kind}: (\S+)", rule)
            if head is None:
                continue
            block = re.search(r"\n        expr: (?:\|\n((?: {10}.*\n?)+)|(.+))", rule)
            assert block is not None, rule
            queries.append(Query(head[1], " ".join((block[1] or block[2]).split())))
    return queries


def selectors(expr: str) -> list[str]:
    """Return the series that an expression reads, each as a query."""
    return re.findall(r"(?:job:bellwire_\w+:\w+|\bbellwire_\w+|\bprocess_\w+|\bup\b)(?:\{[^}]*\})?", expr)
