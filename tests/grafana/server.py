"""A real Prometheus with the shipped configuration, but every second, on a free port and in a folder of its own."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.grafana.dashboards import PROMETHEUS
from tests.stores import LIMIT_S, free_port

LOOK_S = 0.1  # between two questions, so that it is not kept from its work


def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails after half a minute."""
    deadline = monotonic() + LIMIT_S
    while not condition():
        assert monotonic() < deadline, "it never came true"
        sleep(LOOK_S)


class Prometheus:
    """Scrapes the processes that `targets` names by file."""

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

    def ask(self, expr: str) -> list[float]:
        """The values that an expression has now, without those that are no numbers."""
        found = [float(one["value"][1]) for one in self._data("query", query=expr)["result"]]
        return [value for value in found if value == value]

    def choices(self, variable: str) -> list[str]:
        """What Grafana offers for `label_values(SERIES, LABEL)`."""
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable)
        assert asked is not None, variable
        return list(self._data(f"label/{asked[2]}/values", **{"match[]": asked[1]}))

    def firing(self) -> set[str]:
        """Names of the alerts whose condition holds, for however short a time."""
        return {one["labels"]["alertname"] for one in self._data("alerts")["alerts"]}

    def healthy(self) -> list[str]:
        """What is wrong with rules: their errors."""
        groups = self._data("rules")["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if rule.get("lastError")]

    def scraped(self, times: int) -> None:
        """Returns when all targets have been scraped so many times more."""
        count = "count_over_time(up[1h])"
        before = min(self.ask(count), default=0.0)
        until(lambda: min(self.ask(count), default=0.0) >= before + times)

    def close(self) -> None:
        """Ends it."""
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
