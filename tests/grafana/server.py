"""A real Prometheus with the shipped configuration and an interval of a second, on a free port with its own folder."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import httpx

from tests.grafana.dashboards import PROMETHEUS
from tests.stores import free_port
from tests.waiting import LIMIT_S, until

CHECK_INTERVAL_S = 0.1  # so that the checks cost Prometheus little


class Prometheus:
    """A process that scrapes the ports of `targets`, by the name of their file."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[int]]) -> None:
        shutil.copytree(PROMETHEUS, folder, dirs_exist_ok=True)
        for path in (folder / "prometheus.yml", *(folder / "rules").glob("*.yml")):
            path.write_text(re.sub(r"(interval|timeout): \d+[sm]", r"\1: 1s", path.read_text()))
        for name, ports in targets.items():
            addresses = "".join(f"\n    - 127.0.0.1:{port}" for port in ports)
            (folder / "targets" / f"{name}.yml").write_text(f"- targets:{addresses}\n")
        port = free_port()
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_S, trust_env=False)
        until(self._ready)

    def _ready(self) -> bool:
        assert self._process.poll() is None
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _data(self, path: str, **params: str) -> Any:
        answer = self._http.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, (params, answer.text)
        return answer.json()["data"]

    def query(self, expr: str) -> list[float]:
        """Return the current values of an expression, without NaN."""
        values = [float(sample["value"][1]) for sample in self._data("query", query=expr)["result"]]
        return [value for value in values if not isnan(value)]

    def choices(self, variable: str) -> list[str]:
        """Return the choices that Grafana shows for `label_values(SERIES, LABEL)`."""
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable)
        assert match is not None, variable
        return list(self._data(f"label/{match[2]}/values", **{"match[]": match[1]}))

    def firing(self) -> set[str]:
        """Return the names of the alerts whose condition holds, also if only for a moment."""
        return {alert["labels"]["alertname"] for alert in self._data("alerts")["alerts"]}

    def rule_errors(self) -> list[str]:
        """Return the errors of the rules."""
        groups = self._data("rules")["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if rule.get("lastError")]

    def wait_for_scrapes(self, times: int) -> None:
        """Return when all targets have been scraped so many times more."""
        count = "count_over_time(up[1h])"
        before = min(self.query(count), default=0.0)
        until(lambda: min(self.query(count), default=0.0) >= before + times)

    def close(self) -> None:
        """End the process."""
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
