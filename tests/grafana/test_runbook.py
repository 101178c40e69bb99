"""The runbook: every alert has a section, and the things that sections name exist."""

import re
import shutil
import subprocess

import pytest
import yaml

from commands.line import COMMANDS
from conf import Settings
from gateway.app import ROUTES
from tests.gateway.running import ROOT
from tests.grafana.dashboards import FILES, RULES, dashboard, panels

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ALERTS = [
    pytest.param(alert, id=alert.split("\n")[0])
    for path in RULES
    for alert in re.split(r"\n +- alert: ", path.read_text().replace("- record:", "- alert: record"))[1:]
    if not alert.startswith("record")
]


def anchors() -> list[str]:
    """Return the anchors of all headings."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_summary_a_severity_and_a_section(alert: str) -> None:
    assert re.search(r"\n +labels: \{severity: (page|ticket)\}", alert)
    for word in ("summary", "description"):
        assert re.search(rf"\n +{word}: \S", alert)
    (section,) = re.findall(r"\n +runbook_url: https://bellwire\.example/docs/runbook\.md#(\S+)", alert)
    assert section in anchors()
    assert f"`{alert.splitlines()[0]}`" in RUNBOOK, "the section names its alerts"


def test_the_example_for_alertmanager_sends_and_inhibits_alerts_that_exist() -> None:
    path = ROOT / "deploy" / "alertmanager.yml"
    chosen = yaml.safe_load(path.read_text())
    route, receivers = chosen["route"], {receiver["name"] for receiver in chosen["receivers"]}
    assert {route["receiver"], *(inner["receiver"] for inner in route["routes"])} == receivers
    matchers = [text for rule in chosen["inhibit_rules"] for side in ("source", "target") for text in rule[f"{side}_matchers"]]
    names = [match[1] for text in matchers if (match := re.fullmatch(r'alertname =~? "(.*)"', text))]
    assert len(names) == 2 * len(chosen["inhibit_rules"])
    for name in (name for pattern in names for name in pattern.split("|")):
        assert any(re.fullmatch(name, str(param.id)) for param in ALERTS), name
    if amtool := shutil.which("amtool"):
        subprocess.run([amtool, "check-config", path], check=True, capture_output=True)


def test_the_alerts_that_sections_name_exist() -> None:
    alerts = {value.splitlines()[0] for value in (param.values[0] for param in ALERTS) if isinstance(value, str)}
    assert set(re.findall(r"^Alerts?: (.*)$", RUNBOOK, re.MULTILINE)) != set()
    for line in re.findall(r"^Alerts?: (.*)$", RUNBOOK, re.MULTILINE):
        assert set(re.findall(r"`(\w+)`", line)) <= alerts


def test_links_within_the_runbook_and_to_it_have_a_target() -> None:
    assert len(set(anchors())) == len(anchors())
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= set(anchors())
    for _, panel in panels():
        for section in re.findall(r"runbook's “([^”]+)”", panel["description"]):
            assert section in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE) or f"**{section}**" in RUNBOOK, section


def test_the_commands_settings_dashboards_and_routes_of_the_runbook_exist() -> None:
    assert set(re.findall(r"run\.py ([a-z-]+)", RUNBOOK)) <= set(COMMANDS)
    assert set(re.findall(r"BELLWIRE_([A-Z_]+)", RUNBOOK)) <= {name.upper() for name in Settings.model_fields}
    titles = {dashboard(path)["title"] for path in FILES}
    assert set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", " ".join(RUNBOOK.split()))) <= titles
    for path in re.findall(r"(?:GET|POST) (/\S+?)[`,.;)?]", RUNBOOK):
        assert any(re.fullmatch(pattern, path.replace("ID", "1")) for pattern, _ in ROUTES), path
