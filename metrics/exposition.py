"""The text that Prometheus scrapes, and the worker's small server for it (the gateway has a route of its own)."""

import logging
import socket
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from socketserver import TCPServer
from threading import Thread

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

Network = IPv4Network | IPv6Network

logger = logging.getLogger("metrics")


def exposition(accept: str) -> tuple[bytes, str]:
    """Body and content type: OpenMetrics if the `Accept` header asks for it, else Prometheus text. The process' and the
    platform's metrics are included."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


def serve(port: int, allow: Iterable[Network]) -> ThreadingHTTPServer | None:
    """Answer GET /metrics on `port` (0: any free one) from daemon threads, to clients within `allow` alone.

    A taken port is logged, not raised, since work goes on without metrics: then None. Stop it with `shutdown()` and
    `server_close()`.
    """
    try:
        server = _MetricsServer(port, tuple(allow))
    except OSError as error:
        logger.warning("metrics are not served: port %d can't be used (%s)", port, error.strerror or error)
        return None
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _MetricsServer(ThreadingHTTPServer):
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
        TCPServer.server_bind(self)  # HTTPServer's looks its own name up, which can take a DNS time-out
        self.server_name, self.server_port = "", self.server_address[1]

    def allows(self, client: str) -> bool:
        """Whether the peer address `client` may read; an IPv4 address within IPv6 counts as the former."""
        address = ip_address(client.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.allow)


class _MetricsHandler(BaseHTTPRequestHandler):
    server: _MetricsServer
    timeout = 5  # seconds; a client that says nothing must not hold a thread
    server_version = "Bellwire"
    sys_version = ""

    def do_GET(self) -> None:
        if not self.server.allows(self.client_address[0]):
            self.send_error(403)
        elif self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
        else:
            self._answer(*exposition(self.headers.get("Accept", "")))

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)
