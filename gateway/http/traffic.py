"""Metrics and log lines of the requests, by the route's pattern."""

from __future__ import annotations

from collections.abc import Iterable
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
REFUSED = 400
UNKNOWN_ROUTE = "unknown"
FAILURES = ("500", "503")  # statuses that a failure of Bellwire has
UNLOGGED_ROUTES = ("/healthz", "/metrics", "/metrics/targets", "/readyz")  # several lines a second, while all is well


def create_failure_series(calls: Iterable[tuple[str, str]]) -> None:
    """Create the counters of failures of each (method, route) at 0: Prometheus sees no increase in a series that begins at 1."""
    for method, route in calls:
        for status in FAILURES:
            metrics.HTTP_REQUESTS_TOTAL.labels(method, route, status)


class Traffic:
    """Counts and logs requests. It keeps the metrics' children, because looking one up costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._logs_all = settings.log_level in ("debug", "info")
        self.log = AccessLog(as_json=is_json(settings.log_format))
        self._children: dict[tuple[str, str, int], tuple[Counter, Latency]] = {}

    def count(self, answered: AnsweredRequest, *, is_known: bool = True) -> None:
        """Count an answered request, and log it.

        If `is_known` is false (a stranger's refused request) it counts without its route: the pairs of route and method are many.
        """
        route = answered.route if is_known else UNKNOWN_ROUTE
        key = (answered.method, route, answered.status)
        children = self._children.get(key)
        if children is None:
            method = answered.method if answered.method in METHODS else "OTHER"
            labels = (method, route, str(answered.status))
            children = metrics.HTTP_REQUESTS_TOTAL.labels(*labels), metrics.HTTP_REQUEST_SECONDS.labels(*labels)
            if len(self._children) < MAX_CHILDREN:
                self._children[key] = children
        counter, latency = children
        counter.inc()
        latency.observe(answered.seconds)
        if answered.status >= FAILED or (self._logs_all and (answered.route not in UNLOGGED_ROUTES or answered.status >= REFUSED)):
            self.log.add(answered)
