"""Metrics and log lines of the requests, by the route's pattern."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from conf import Settings
from conf.logging import is_json
from gateway.http.access_log import FAILED, AccessLog, AnsweredRequest
from metrics import declared as metrics
from metrics.latency import Latency
from metrics.tally import Tally

METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")
MAX_SERIES = 5000
REFUSED = 400
UNKNOWN_ROUTE = "unknown"
FAILURES = ("500", "503")  # statuses that a failure of Bellwire has
UNLOGGED_ROUTES = ("/healthz", "/metrics", "/metrics/targets", "/readyz")  # several lines a second, while all is well


def create_failure_series(calls: Iterable[tuple[str, str]]) -> None:
    """Create the counters of failures of each (method, route) at 0: Prometheus sees no increase in a series that begins at 1."""
    for method, route in calls:
        for status in FAILURES:
            metrics.HTTP_REQUESTS_TOTAL.labels(method, route, status)


class _Series(NamedTuple):
    """The metrics of one method, route and status, and whether such requests are logged."""

    counter: Tally
    latency: Latency
    is_logged: bool


class Traffic:
    """Counts and logs requests. It keeps the metrics' children, because looking one up costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._logs_all = settings.log_level in ("debug", "info")
        self.log = AccessLog(as_json=is_json(settings.log_format))
        self._series: dict[tuple[str, str, int, bool], _Series] = {}

    def count(self, answered: AnsweredRequest, *, is_known: bool = True) -> None:
        """Count an answered request, and log it.

        If `is_known` is false (a stranger's refused request) it counts without its route: the pairs of route and method are many.
        """
        key = (answered.method, answered.route, answered.status, is_known)
        counter, latency, is_logged = self._series.get(key) or self._begin_series(*key)
        counter.inc()
        latency.observe(answered.seconds)
        if is_logged:
            self.log.add(answered)

    def _begin_series(self, method: str, route: str, status: int, is_known: bool) -> _Series:
        labels = (method if method in METHODS else "OTHER", route if is_known else UNKNOWN_ROUTE, str(status))
        is_logged = status >= FAILED or (self._logs_all and (route not in UNLOGGED_ROUTES or status >= REFUSED))
        series = _Series(metrics.HTTP_REQUESTS_TOTAL.labels(*labels), metrics.HTTP_REQUEST_SECONDS.labels(*labels), is_logged)
        if len(self._series) < MAX_SERIES:
            self._series[method, route, status, is_known] = series
        return series
