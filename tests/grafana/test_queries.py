"""Every query of dashboards, variables and rules, run by a Prometheus that scrapes a running installation."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.running import Gateway
from tests.grafana.dashboards import FILES, PROMETHEUS, RULES, panel_queries, rules, selectors, variables
from tests.grafana.server import Prometheus
from tests.grafana.traffic import Traffic
from tests.smtp_server import SmtpServer
from tests.stores import free_port

pytestmark = [pytest.mark.needs_binary("prometheus"), pytest.mark.needs_binary("promtool"), pytest.mark.only("sqlite")]

ROUNDS = 10  # two or three are enough on an idle machine
# The names of series that have no data while nothing fails.
NOT_HERE = {
    'bellwire_job_seconds_count{outcome="error"}': "no task fails",
    "bellwire_push_seconds_bucket": "nobody is on a push service",
}

OF_SPEED = ("SendBudgetBurns", "DeliveryBudgetBurns")  # alerts that a busy machine may cause


def promtool(*arguments: object, stdin: str | None = None) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def relay() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def house(make_gateway: Callable[..., Gateway], relay: SmtpServer) -> Gateway:
    """Start `run.py serve` with one low limit."""
    limits = {"RATE_LIMITS": "on", "LIMIT_SIGNUP": "1000/hour", "LIMIT_OTP": "2/hour", "LIMIT_API": "1000/second"}
    return make_gateway("serve", WORKER_METRICS_PORT=str(free_port()), EMAIL_URL=relay.url, **limits)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, house: Gateway) -> Iterator[Prometheus]:
    """Start a Prometheus that scrapes the installation."""
    ports = {"gateways": [int(house.settings["PORT"])], "workers": [int(house.settings["WORKER_METRICS_PORT"])]}
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), ports)
    yield server
    server.close()


def excused(expr: str) -> bool:
    return any(name in expr for name in NOT_HERE)


def test_every_query_has_data_where_there_was_traffic_and_only_the_dead_mail_alerts(
    house: Gateway, relay: SmtpServer, prometheus: Prometheus
) -> None:
    missing = {query.expr: query for query in panel_queries() + rules("record") if not excused(query.expr)}
    for alert in rules("alert"):
        missing |= {series: alert for series in selectors(alert.expr) if not excused(series)}
    traffic = Traffic(house, relay)
    for _ in range(ROUNDS):
        traffic.once()
        prometheus.wait_for_scrapes(2)
        missing = {expr: query for expr, query in missing.items() if not prometheus.query(expr)}
        if not missing:
            break
    assert not missing
    for query in panel_queries() + rules("alert"):
        if excused(query.expr):
            assert not prometheus.query(query.expr), f"{query.where} has data after all"
    for path in FILES:
        for variable in ("job", "instance"):
            definition = variables(path)[variable]["definition"].replace("$job", ".+")
            assert len(prometheus.choices(definition)) == (2 if "build_info" in definition else 1), definition
    assert prometheus.rule_errors() == []
    assert {name for name in prometheus.firing() if not name.startswith(OF_SPEED)} == {"DeadMail"}


def test_the_pages_of_gateway_and_worker_are_valid_for_prometheus(house: Gateway) -> None:
    for port in (house.settings["PORT"], house.settings["WORKER_METRICS_PORT"]):
        promtool("check", "metrics", stdin=house.http.get(f"http://127.0.0.1:{port}/metrics").text)


def test_configuration_and_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", *RULES)


def test_alerts_begin_and_end_when_they_should() -> None:
    promtool("test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))
