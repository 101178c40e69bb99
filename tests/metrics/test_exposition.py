import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from metrics import declared, exposition, serve
from metrics.exposition import merge

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


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
def test_a_page_of_several_processes_has_all_samples_with_their_process(accept: str) -> None:
    declared.JOB_WAIT_SECONDS.labels("merge_test").observe(0.2)
    parse = openmetrics_families if accept else text_string_to_metric_families
    page, _ = exposition(accept)
    partial = b"".join(line for line in page.splitlines(keepends=True) if b"python_info" not in line)
    apart = list(parse(page.decode()))
    merged = {family.name: family for family in parse(merge({"1": page, "2": partial}, "gateway").decode())}
    assert list(merged) == [family.name for family in apart]
    for family in apart:
        assert (merged[family.name].type, merged[family.name].documentation) == (family.type, family.documentation)
        for number in ("1",) if family.name == "python_info" else ("1", "2"):
            samples = [sample for sample in merged[family.name].samples if sample.labels["gateway"] == number]
            assert [(sample.name, sample.labels, sample.value) for sample in samples] == [
                (sample.name, {"gateway": number} | sample.labels, sample.value) for sample in family.samples
            ]


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
