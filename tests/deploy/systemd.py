"""A stub of systemd with the commands of the shipped script."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.journeys.cluster import Cluster
from tests.stores import program
from tests.waiting import LIMIT_S, until

COMMAND = """#!/bin/sh
case $1 in
    restart) exec {curl} --silent --fail {url}/$2 ;;
    list-units) for port in {ports}; do echo "bellwire-gateway@$port.service loaded active running Bellwire gateway"; done ;;
esac
"""


def status(port: int, path: str) -> int:
    """Return the status of a gateway's answer, 0 without one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LIMIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Systemd:
    """A `systemctl` whose `restart` ends a gateway with SIGTERM and starts it again, without waiting until it is ready."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.restarted: list[int] = []
        self.served_until_the_end: list[int] = []  # those that accepted requests while /readyz already answered 503
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        command = folder / "bin" / "systemctl"
        command.parent.mkdir()
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        command.write_text(COMMAND.format(curl=program("curl"), url=url, ports=" ".join(map(str, cluster.ports))))
        command.chmod(0o755)
        self.path = os.pathsep.join([str(command.parent), os.environ["PATH"]])

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def restart(self, port: int) -> None:
        """End the gateway of a port by SIGTERM, and start another one on it."""
        process = self.cluster.process(port)
        process.send_signal(signal.SIGTERM)
        until(lambda: status(port, "/readyz") == 503)
        if status(port, "/healthz") == 200:
            self.served_until_the_end.append(port)
        assert process.wait(LIMIT_S) == 0
        self.restarted.append(port)
        Thread(target=self.cluster.start_gateway, args=(port,)).start()


def _handler(systemd: Systemd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            systemd.restart(int(self.path.partition("@")[2].removesuffix(".service")))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write no log."""

    return Handler
