"""Every query of dashboards, variables and rules, asked of a Prometheus that watches a running installation."""

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
# What rightly has no data while nothing is broken: the names of the series that are missing.
NOT_HERE = {
    'bellwire_job_seconds_count{outcome="error"}': "no task fails",
}


def promtool(*arguments: object, told: str | None = None) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def relay() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def house(make_gateway: Callable[..., Gateway], relay: SmtpServer) -> Gateway:
    """`run.py serve`, with limits of which one is low."""
    limits = {"RATE_LIMITS": "on", "LIMIT_SIGNUP": "1000/hour", "LIMIT_OTP": "2/hour", "LIMIT_API": "1000/second"}
    return make_gateway("serve", WORKER_METRICS_PORT=str(free_port()), EMAIL_URL=relay.url, **limits)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, house: Gateway) -> Iterator[Prometheus]:
    """Has seen so much traffic that whatever can have data has some."""
    ports = {"gateways": [int(house.settings["PORT"])], "workers": [int(house.settings["WORKER_METRICS_PORT"])]}
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), ports)
    yield server
    server.close()


def excused(expr: str) -> bool:
    return any(name in expr for name in NOT_HERE)


def test_every_query_has_data_where_there_was_traffic_and_no_alert_begins(
    house: Gateway, relay: SmtpServer, prometheus: Prometheus
) -> None:
    asked = {one.expr: one for one in panel_queries() + rules("record") if not excused(one.expr)}
    for alert in rules("alert"):
        asked |= {one: alert for one in selectors(alert.expr) if not excused(one)}
    traffic = Traffic(house, relay)
    for _ in range(ROUNDS):
        traffic.once()
        prometheus.scraped(2)
        asked = {expr: one for expr, one in asked.items() if not prometheus.ask(expr)}
        if not asked:
            break
    assert not asked
    for one in panel_queries() + rules("alert"):
        if excused(one.expr):
            assert not prometheus.ask(one.expr), f"{one.where} has data after all"
    for path in FILES:
        for variable in ("job", "instance"):
            question = variables(path)[variable]["definition"].replace("$job", ".+")
            assert len(prometheus.choices(question)) == (2 if "build_info" in question else 1), question
    assert prometheus.healthy() == []
    assert prometheus.firing() == {"DeadMail"}


def test_what_gateway_and_worker_tell_is_as_prometheus_wants_it(house: Gateway) -> None:
    for port in (house.settings["PORT"], house.settings["WORKER_METRICS_PORT"]):
        promtool("check", "metrics", told=house.http.get(f"http://127.0.0.1:{port}/metrics").text)


def test_configuration_and_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", *RULES)


def test_alerts_begin_and_end_when_they_should() -> None:
    promtool("test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))
