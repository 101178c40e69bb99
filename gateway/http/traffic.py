"""Metrics and log lines of the requests, by the route's pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf import Settings
from conf.logging import is_json
from gateway.http.access_log import FAILED, AccessLog, AnsweredRequest
from metrics import declared as metrics
from metrics.latency import Latency

if TYPE_CHECKING:
    from prometheus_client import Counter

METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")
MAX_CHILDREN = 5000


class Traffic:
    """Counts and logs requests. It keeps the metrics' children, because looking one up costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._logs_all = settings.log_level in ("debug", "info")
        self.log = AccessLog(as_json=is_json(settings.log_format))
        self._children: dict[tuple[str, str, int], tuple[Counter, Latency]] = {}

    def count(self, answered: AnsweredRequest) -> None:
        """Count an answered request, and log it."""
        key = (answered.method, answered.route, answered.status)
        children = self._children.get(key)
        if children is None:
            method = answered.method if answered.method in METHODS else "OTHER"
            labels = (method, answered.route, str(answered.status))
            children = metrics.HTTP_REQUESTS_TOTAL.labels(*labels), metrics.HTTP_REQUEST_SECONDS.labels(*labels)
            if len(self._children) < MAX_CHILDREN:
                self._children[key] = children
        counter, latency = children
        counter.inc()
        latency.observe(answered.seconds)
        if self._logs_all or answered.status >= FAILED:
            self.log.add(answered)
