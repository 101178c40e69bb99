import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import declared, exposition, serve

LOOPBACK = [ip_network("127.0.0.1/32")]


@contextmanager
def served(*networks: str) -> Iterator[str]:
    server = serve(0, [ip_network(network) for network in networks])
    assert server is not None
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def status(url: str, **options: str) -> int:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, **options), timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def test_prometheus_text_is_the_default() -> None:
    body, content_type = exposition("")
    assert content_type.startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(body.decode())}
    assert {"bellwire_message_send_seconds", "python_info"} <= families


def test_openmetrics_on_request() -> None:
    body, content_type = exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_the_workers_port_serves_what_was_measured() -> None:
    declared.JOB_WAIT_SECONDS.labels("exposition_test").observe(0.2)
    with served("127.0.0.1/32") as url:
        answer = urllib.request.urlopen(f"{url}/metrics", timeout=5)
        assert b'bellwire_job_wait_seconds_count{task="exposition_test"} 1.0' in answer.read()
        assert answer.headers["Content-Type"].startswith("text/plain")


def test_only_allowed_addresses_may_read() -> None:
    with served("192.0.2.0/24") as url:
        assert status(f"{url}/metrics") == 403
    with served("127.0.0.0/8", "192.0.2.0/24") as url:  # listens on every interface, IPv6 too
        assert status(f"{url}/metrics") == 200


def test_nothing_but_get_metrics_is_answered() -> None:
    with served("127.0.0.1/32") as url:
        assert status(f"{url}/") == 404
        assert status(f"{url}/metrics", method="POST") == 501
        assert status(f"{url}/metrics?x=1") == 200


def test_a_taken_port_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING, "metrics"):
        port = taken.getsockname()[1]
        assert serve(port, LOOPBACK) is None
    assert f"metrics_not_served port={port}" in caplog.text
