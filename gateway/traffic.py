"""Counts and times of requests, by the route's pattern, and their log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf import Settings
from conf.logging import is_json
from gateway.requestlog import FAILED, RequestLog
from metrics import declared as metrics
from metrics.latency import Latency

if TYPE_CHECKING:
    from prometheus_client import Counter

    from gateway.base import Handler


class Traffic:
    """Keeps the metrics' children, for finding one costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._all = settings.log_level in ("debug", "info")
        self.log = RequestLog(is_json(settings.log_format))
        self._children: dict[tuple[str, str, int], tuple[Counter, Latency]] = {}

    def count(self, handler: Handler) -> None:
        """One request that was answered."""
        request, status = handler.request, handler.get_status()
        key = (request.method or "", handler.route, status)
        found = self._children.get(key)
        if found is None:
            method = request.method if request.method in handler.SUPPORTED_METHODS else "OTHER"
            labels = (method, handler.route, str(status))
            found = metrics.HTTP_REQUESTS_TOTAL.labels(*labels), metrics.HTTP_REQUEST_SECONDS.labels(*labels)
            if len(self._children) < 5000:
                self._children[key] = found
        counter, latency = found
        took_s = request.request_time()
        counter.inc()
        latency.observe(took_s)
        if self._all or status >= FAILED:
            self.log.add(handler, took_s)
