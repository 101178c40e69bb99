"""nginx with the shipped configuration, on free ports and with its own folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.stores import free_port, program
from tests.waiting import LIMIT_S, until

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CERTIFICATE = (
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    "/CN=chat.example.org",
)


class Proxy:
    """nginx in front of some gateways. `port` serves HTTP (the test's server block with the shipped locations), `tls_port` TLS."""

    def __init__(self, folder: Path, gateways: Sequence[int]) -> None:
        self.port, self.tls_port, self.redirect_port = free_port(), free_port(), free_port()
        self._gateways = gateways
        self._folder = folder
        self.logs = folder / "logs"
        self._process: subprocess.Popen[bytes] | None = None
        self.logs.mkdir(parents=True)
        shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
        self._make_certificate()
        for path in folder.rglob("*.conf"):
            path.write_text(self._moved(path.read_text()))
        with (folder / "bellwire" / "site.conf").open("a") as site:
            site.write(f"server {{ listen 127.0.0.1:{self.port}; include bellwire/locations.conf; }}\n")

    def rewrite(self, name: str, old: str, new: str) -> None:
        """Replace a line in one of the files."""
        path = self._folder / "bellwire" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def _make_certificate(self) -> None:
        tls = self._folder / "tls"
        tls.mkdir()
        files = ("-keyout", str(tls / "privkey.pem"), "-out", str(tls / "fullchain.pem"))
        subprocess.run([program("openssl"), *CERTIFICATE, *files], check=True, capture_output=True)

    def _moved(self, text: str) -> str:
        """Return a configuration with the ports and folders of the test, for the user that runs it."""
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
        for shipped, port in zip((8081, 8082), self._gateways, strict=True):
            text = text.replace(f"server 127.0.0.1:{shipped} ", f"server 127.0.0.1:{port} ")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.redirect_port};")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.tls_port} ")
        text = text.replace("/etc/nginx/", f"{self._folder}/").replace("/var/log/nginx/", f"{self.logs}/")
        text = text.replace("pid /run/", f"pid {self._folder}/")
        text = text.replace("user www-data;", "user root;" if os.geteuid() == 0 else "")
        text = re.sub(
            r"worker_(rlimit_nofile|connections) .*?;", lambda m: f"worker_{m[1]} 1024;", text
        )  # every machine allows so many
        directives = "".join(f"{name}_temp_path {self._folder}/{name};" for name in TEMPORARY)
        return re.sub(r"^http \{$", f"http {{ {directives}", text, flags=re.MULTILINE)

    def _command(self) -> list[str]:
        config = str(self._folder / "nginx.conf")
        return [program("nginx"), "-e", str(self.logs / "start.log"), "-p", str(self._folder), "-c", config]

    def check(self) -> str:
        """Return the output of `nginx -t`; fail when it does not accept the configuration."""
        done = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> Proxy:
        """Start nginx and wait until it listens."""
        with (self.logs / "output.log").open("wb") as output:
            self._process = subprocess.Popen([*self._command(), "-g", "daemon off;"], stdout=output, stderr=output)
        until(self._listens)
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.logged()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Stop nginx and close its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(LIMIT_S)
            self._process = None

    def logged(self) -> str:
        """Return the contents of all its logs."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.logs.iterdir()))

    def requests(self) -> str:
        """Return the access log."""
        return (self.logs / "access.log").read_text()
