"""The dashboards as files: each panel is complete, and reads series that exist."""

import json
import re
from collections import Counter as Count
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from metrics import declared
from tests.grafana.dashboards import DATASOURCE, FILES, PROMETHEUS, RULES, dashboard, panels, rules, selectors, variables

PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds"}
PROCESS |= {"process_max_fds", "process_start_time_seconds"}
PANELS = [pytest.param(panel, id=f"{file}: {panel['title']}") for file, panel in panels()]


def series_names() -> set[str]:
    """Return the series of gateways, workers and Prometheus, and those that the rules record."""
    series = PROCESS | {"up"} | {rule.where for rule in rules("record")}
    for metric in vars(declared).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            endings = ("_bucket", "_sum", "_count") if isinstance(metric, Histogram) else ("",)
            series |= {family.name + ending for ending in (("_total",) if isinstance(metric, Counter) else endings)}
    return series


def names(expr: str) -> set[str]:
    return {selector.partition("{")[0] for selector in selectors(expr)}


def test_ids_are_unique_within_a_dashboard_and_uids_and_titles_among_all() -> None:
    for path in FILES:
        assert max(Count(panel["id"] for panel in dashboard(path)["panels"]).values()) == 1, path.stem
    for key in ("uid", "title"):
        assert len({dashboard(path)[key] for path in FILES}) == len(FILES) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_is_one_that_grafana_10_and_11_read(path: Path) -> None:
    found = dashboard(path)
    assert (found["schemaVersion"], found["uid"]) == (39, f"bellwire-{path.stem}")
    assert "id" not in found, "Grafana assigns it"
    assert path.read_text() == json.dumps(found, indent=2, ensure_ascii=False) + "\n", (
        "as `json.dumps` writes it, for small changes"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_data_source_job_and_instance_are_chosen_at_the_top(path: Path) -> None:
    found = variables(path)
    assert list(found) == ["datasource", "job", "instance"]
    assert (found["datasource"]["type"], found["datasource"]["query"]) == ("datasource", "prometheus")
    for name in ("job", "instance"):
        assert found[name]["datasource"] == DATASOURCE
        assert found[name]["query"]["query"] == found[name]["definition"]
        assert found[name]["definition"].endswith(f", {name})")
        assert names(found[name]["definition"]) <= series_names()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_panels_overlap_and_none_sticks_out(path: Path) -> None:
    positions = [(panel["title"], panel["gridPos"]) for panel in dashboard(path)["panels"]]
    assert all(0 <= at["x"] < at["x"] + at["w"] <= 24 and at["h"] > 0 for _, at in positions)
    for (one, a), (other, b) in combinations(positions, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_title_a_unit_and_a_description_with_a_step(panel: dict[str, Any]) -> None:
    assert len(panel["title"]) > 8
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 50
    assert panel["description"].endswith((".", ")"))


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_reads_the_chosen_processes_from_the_chosen_data_source(panel: dict[str, Any]) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs) > 0
    for source in (panel, *panel["targets"]):
        assert source["datasource"] == DATASOURCE
    for target in panel["targets"]:
        expr = target["expr"]
        assert names(expr), expr
        assert names(expr) <= series_names(), expr
        for selector in selectors(expr):
            recorded = selector.startswith("job:")
            filters = ('job=~"$job"',) if recorded else ('job=~"$job"', 'instance=~"$instance"')
            assert all(each in selector for each in filters), selector


def test_every_metric_is_on_a_dashboard() -> None:
    used = set().union(*(names(target["expr"]) for _, panel in panels() for target in panel["targets"]))
    for metric in vars(declared).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            assert [name for name in used if name.startswith(family.name)], family.name


def test_rules_read_series_that_exist() -> None:
    for rule in rules("record") + rules("alert"):
        assert names(rule.expr), rule
        assert names(rule.expr) <= series_names(), rule


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    text = "".join(path.read_text() for path in (PROMETHEUS / "tests").glob("*.yml"))
    fired = set(re.findall(r"- alertname: (\w+)\n +eval_time: \S+\n +exp_alerts:\n +- exp_labels", text))
    assert fired == {rule.where for rule in rules("alert")}


def test_no_rule_is_overlooked_by_these_tests() -> None:
    count = sum(len(re.findall(r"^ +- (?:record|alert):", path.read_text(), re.MULTILINE)) for path in RULES)
    assert count == len(rules("record")) + len(rules("alert")) > 30
