"""The shipped nginx configuration with stubs of gateways: the requests that it forwards, retries and answers itself."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.proxy import Proxy
from tests.deploy.stub import Stub
from tests.waiting import LIMIT_S

RETRIED = ("GET", "PUT", "DELETE")
NEVER_TWICE = ("POST", "PATCH")


@pytest.fixture
def stubs() -> Iterator[list[Stub]]:
    """Start two stubs of gateways."""
    started = [Stub(), Stub()]
    yield started
    for stub in started:
        stub.close()


@pytest.fixture
def nginx(tmp_path: Path, stubs: list[Stub]) -> Iterator[Proxy]:
    """Start nginx in front of them."""
    proxy = Proxy(tmp_path / "nginx", [stub.port for stub in stubs]).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def http(nginx: Proxy) -> Iterator[httpx.Client]:
    """Return a client of nginx."""
    with httpx.Client(base_url=f"http://127.0.0.1:{nginx.port}", trust_env=False) as client:
        yield client


def test_nginx_accepts_the_shipped_configuration_without_a_warning(tmp_path: Path) -> None:
    output = Proxy(tmp_path / "nginx", [8081, 8082]).check()
    assert "test is successful" in output
    assert "[warn]" not in output


def test_a_gateway_gets_the_client_s_address_protocol_and_request_id(nginx: Proxy, stubs: list[Stub]) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "gopher", "X-Request-Id": "mine-1", "Upgrade": "h2c"}
    url = f"https://127.0.0.1:{nginx.tls_port}/api/v1/me?a=b"
    assert httpx.get(url, headers=claimed, verify=False, trust_env=False).status_code == 200

    ((method, path, headers),) = [request for stub in stubs for request in stub.requests]
    assert (method, path) == ("GET", "/api/v1/me?a=b")
    assert headers["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Request-Id"] == "mine-1"
    assert headers["Host"] == f"127.0.0.1:{nginx.tls_port}"
    assert (headers["Upgrade"], headers["Connection"]) == (None, None)


def test_the_logs_of_nginx_and_gateway_name_the_same_request_id(http: httpx.Client, nginx: Proxy, stubs: list[Stub]) -> None:
    http.get("/api/v1/me", headers={"X-Request-Id": 'not"sane'})
    (request,) = [request for stub in stubs for request in stub.requests]
    nginx.stop()
    logged = json.loads(nginx.requests())
    assert logged["request_id"] == request.headers["X-Request-Id"] != 'not"sane'
    assert (logged["method"], logged["path"], logged["status"], logged["gateway_status"]) == ("GET", "/api/v1/me", 200, "200")


@pytest.mark.parametrize("path", ["/api/v1/invitations/CODE", "/api/v1/in/SECRET"])
def test_no_log_has_the_code_of_an_invitation_or_the_secret_of_a_hook(http: httpx.Client, nginx: Proxy, path: str) -> None:
    http.get(path.rpartition("/")[0] + "/kQ3-zzYx")
    nginx.stop()
    assert json.loads(nginx.requests())["path"] == path
    assert "kQ3-zzYx" not in nginx.logged()


def test_a_request_without_tls_is_redirected_to_the_name(nginx: Proxy) -> None:
    answer = httpx.get(f"http://127.0.0.1:{nginx.redirect_port}/a?b=c", trust_env=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://chat.example.org/a?b=c")


@pytest.mark.parametrize("status", [503, None], ids=["unavailable", "hung up"])
def test_a_request_that_may_be_repeated_goes_to_the_other_gateway(
    http: httpx.Client, stubs: list[Stub], status: int | None
) -> None:
    stubs[0].status = status
    for method in RETRIED:
        for path in ("/api/v1/messages/1", "/api/v1/events?cursor=c"):
            assert [http.request(method, path).status_code for _ in range(2)] == [200, 200], method
    assert stubs[0].requests, "the stub got no request"


@pytest.mark.parametrize("status", [503, None], ids=["unavailable", "hung up"])
@pytest.mark.parametrize("method", NEVER_TWICE)
def test_a_request_that_may_have_taken_effect_is_not_repeated(
    http: httpx.Client, stubs: list[Stub], status: int | None, method: str
) -> None:
    stubs[0].status = status
    answers = [http.request(method, "/api/v1/messages", json={"to": 1}).status_code for _ in range(6)]
    assert len(stubs[0].requests) + len(stubs[1].requests) == 6
    assert sorted(answers) == [200] * len(stubs[1].requests) + [503] * len(stubs[0].requests)
    assert stubs[0].requests, "the stub got no request"


def test_no_request_of_any_kind_fails_when_one_gateway_is_down(http: httpx.Client, stubs: list[Stub]) -> None:
    stubs[0].close()
    for method in (*RETRIED, *NEVER_TWICE):
        for path in ("/api/v1/messages", "/api/v1/events"):
            assert [http.request(method, path).status_code for _ in range(2)] == [200, 200], (method, path)


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/events", "/api/v1/events/stream", "/api/v1/events/ws"])
def test_without_any_gateway_the_answer_is_the_apis_own_503(http: httpx.Client, stubs: list[Stub], path: str) -> None:
    for stub in stubs:
        stub.close()
    answer = http.get(path, headers={"X-Request-Id": "mine-2"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert (answer.headers["Retry-After"], answer.headers["X-Request-Id"]) == ("1", "mine-2")
    assert answer.json()["type"] == "/problems/unavailable"


def test_nginx_refuses_a_body_over_every_limit(http: httpx.Client, stubs: list[Stub]) -> None:
    assert http.post("/api/v1/admin/users", content=bytes(2 * 2**20)).status_code == 200
    answer = http.post("/api/v1/admin/users", content=bytes(2 * 2**20 + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert len(stubs[0].requests) + len(stubs[1].requests) == 1


def test_files_may_be_larger_and_are_refused_at_once_when_no_gateway_would_accept_them(
    http: httpx.Client, stubs: list[Stub]
) -> None:
    assert http.post("/api/v1/files", content=bytes(26 * 2**20)).status_code == 200
    answer = http.post("/api/v1/files?name=a", content=bytes(26 * 2**20 + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, "a file must be at most 25 MiB")
    assert len(stubs[0].requests) + len(stubs[1].requests) == 1


@pytest.mark.parametrize("path", ["/metrics", "/metrics?a=b", "/metrics/targets", "//metrics", "/%6detrics", "/x/../metrics"])
def test_nginx_does_not_serve_metrics(nginx: Proxy, stubs: list[Stub], path: str) -> None:
    url = httpx.URL(f"http://127.0.0.1:{nginx.port}").copy_with(raw_path=path.encode())
    answer = httpx.get(url, trust_env=False)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert not stubs[0].requests + stubs[1].requests


def test_every_answer_over_tls_has_the_header_that_forbids_http(nginx: Proxy) -> None:
    base = f"https://127.0.0.1:{nginx.tls_port}"
    with httpx.Client(base_url=base, verify=False, trust_env=False) as client:
        answers = [client.get("/"), client.get("/metrics"), client.post("/", content=bytes(3 * 2**20))]
    assert [answer.status_code for answer in answers] == [200, 404, 413]
    assert {answer.headers.get("Strict-Transport-Security") for answer in answers} == {"max-age=31536000"}
    plain = httpx.get(f"http://127.0.0.1:{nginx.port}/metrics", trust_env=False)
    assert "Strict-Transport-Security" not in plain.headers


def test_a_request_of_http_1_0_without_host_reaches_a_gateway(nginx: Proxy, stubs: list[Stub]) -> None:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", nginx.tls_port), LIMIT_S) as plain, tls.wrap_socket(plain) as connection:
        connection.sendall(b"GET /api/v1/me HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b" 200 " in answer.splitlines()[0]
    ((_, _, headers),) = [request for stub in stubs for request in stub.requests]
    assert headers["Host"] == "chat.example.org"
