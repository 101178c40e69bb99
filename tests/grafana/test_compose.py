"""The mounted files, and access to the metrics."""

import re

from tests.gateway.running import ROOT
from tests.grafana.dashboards import GRAFANA, PROMETHEUS

COMPOSE = (GRAFANA / "compose.yaml").read_text()
DEPLOYED = (ROOT / "deploy" / "compose.yaml").read_text()


def targets(folder: str, file: str) -> list[str]:
    return re.findall(r"^ +- ([\w.]+:\d+)$", (PROMETHEUS / folder / file).read_text(), re.MULTILINE)


def test_the_files_mounted_into_containers_exist() -> None:
    for path in re.findall(r"^ +- (\.\.?/[^:\n]+)", COMPOSE, re.MULTILINE):
        assert (GRAFANA / path).exists(), path


def test_images_have_a_version_and_the_password_comes_from_outside() -> None:
    images = re.findall(r"^ +image: (\S+)$", COMPOSE, re.MULTILINE)
    assert len(images) == 2
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)
    assert "GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_PASSWORD:?" in COMPOSE


def test_prometheus_may_read_the_metrics_of_gateways_and_workers() -> None:
    (address,) = re.findall(r"ipv4_address: (\S+)", COMPOSE)
    (allowed,) = re.findall(r"BELLWIRE_METRICS_ALLOW: (\S+)", DEPLOYED)
    assert f"{address}/32" in allowed.split(",")
    assert address not in re.findall(r"ipv4_address: (\S+)", DEPLOYED)


def test_every_gateway_and_worker_is_scraped() -> None:
    services = re.findall(r"^  (gateway\d|worker\d):$", DEPLOYED, re.MULTILINE)
    scraped = targets("targets-compose", "gateways.yml") + targets("targets-compose", "workers.yml")
    assert scraped == [f"{name}:{8080 if name.startswith('gateway') else 9101}" for name in services]


def test_the_ports_on_a_host_are_those_of_its_units() -> None:
    steps = (ROOT / "deploy" / "README.md").read_text()
    for unit, file in (("gateway", "gateways.yml"), ("worker", "workers.yml")):
        assert {f"127.0.0.1:{port}" for port in re.findall(rf"bellwire-{unit}@(\d+)", steps)} == set(targets("targets", file))
