"""The text that Prometheus scrapes, and the worker's HTTP server for it (the gateway has a route of its own)."""

import logging
import socket
from collections.abc import Iterable, Mapping
from http.server import ThreadingHTTPServer
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from socketserver import TCPServer
from threading import Thread

from prometheus_client import REGISTRY, MetricsHandler
from prometheus_client.exposition import choose_encoder

Network = IPv4Network | IPv6Network

logger = logging.getLogger("metrics")


def exposition(accept: str) -> tuple[bytes, str]:
    """Return body and content type: OpenMetrics if the `Accept` header names it, else Prometheus text.

    The metrics of the process and of the platform are included.
    """
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


def merge(pages: Mapping[str, bytes], label: str) -> bytes:
    """Return one page of several processes' pages, by name: `label` of each sample is its process' name."""
    families: dict[str, list[str]] = {}  # of a metric: its description, then all samples
    for name, page in pages.items():
        family: list[str] = []
        is_described = False
        for line in page.decode().splitlines():
            if line.startswith("# HELP "):
                known = families.get(line.split(" ", 3)[2])
                family = families.setdefault(line.split(" ", 3)[2], [])
                is_described = known is not None
            if not line.startswith("#"):
                family.append(_labelled(line, f'{label}="{name}"'))
            elif line != "# EOF" and not is_described:
                family.append(line)
    end = ["# EOF"] if any(page.endswith(b"# EOF\n") for page in pages.values()) else []
    return "".join(f"{line}\n" for family in (*families.values(), end) for line in family).encode()


def _labelled(sample: str, label: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"


def serve(port: int, allow: Iterable[Network]) -> ThreadingHTTPServer | None:
    """Answer GET /metrics on `port` (0: any free one) from daemon threads, to clients within `allow` alone.

    Return None when the port is taken: this is logged and not raised, since a worker can work without metrics. Stop the server
    with `shutdown()` and `server_close()`.
    """
    try:
        server = _MetricsServer(port, tuple(allow))
    except OSError as error:
        logger.warning("metrics_not_served port=%d error=%s", port, error.strerror or error)
        return None
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _MetricsServer(ThreadingHTTPServer):
    """Not `prometheus_client.start_http_server`: that has no list of allowed addresses."""

    daemon_threads = True

    def __init__(self, port: int, allow: tuple[Network, ...]) -> None:
        self.allow = allow
        host = "127.0.0.1"
        if not all(network.is_loopback for network in allow):
            dual = socket.has_dualstack_ipv6()
            self.address_family = socket.AF_INET6 if dual else socket.AF_INET
            host = "::" if dual else ""
        super().__init__((host, port), _MetricsHandler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's resolves the host's own name, which can take a DNS time-out
        self.server_name, self.server_port = "", self.server_address[1]

    def allows(self, client: str) -> bool:
        """Return whether the peer address `client` may read. An IPv4 address within IPv6 counts as an IPv4 address."""
        address = ip_address(client.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.allow)


class _MetricsHandler(MetricsHandler):
    """The library's answers, for allowed addresses and one path."""

    server: _MetricsServer
    timeout = 5  # seconds; a client that sends nothing must not occupy a thread
    server_version = "Bellwire"
    sys_version = ""

    def do_GET(self) -> None:
        if not self.server.allows(self.client_address[0]):
            self.send_error(403)
        elif self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
        else:
            super().do_GET()
