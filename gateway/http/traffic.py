"""Counts and times of requests, by the route's pattern, and their log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf import Settings
from conf.logging import is_json
from gateway.http.access_log import FAILED, Answered, RequestLog
from metrics import declared as metrics
from metrics.latency import Latency

if TYPE_CHECKING:
    from prometheus_client import Counter

METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")
MAX_CHILDREN = 5000


class Traffic:
    """Keeps the metrics' children, for finding one costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._all = settings.log_level in ("debug", "info")
        self.log = RequestLog(is_json(settings.log_format))
        self._children: dict[tuple[str, str, int], tuple[Counter, Latency]] = {}

    def count(self, answered: Answered) -> None:
        """Count an answered request, and log it."""
        key = (answered.method, answered.route, answered.status)
        found = self._children.get(key)
        if found is None:
            method = answered.method if answered.method in METHODS else "OTHER"
            labels = (method, answered.route, str(answered.status))
            found = metrics.HTTP_REQUESTS_TOTAL.labels(*labels), metrics.HTTP_REQUEST_SECONDS.labels(*labels)
            if len(self._children) < MAX_CHILDREN:
                self._children[key] = found
        counter, latency = found
        counter.inc()
        latency.observe(answered.seconds)
        if self._all or answered.status >= FAILED:
            self.log.add(answered)
