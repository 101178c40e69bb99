"""Counts and times of requests, by the route's pattern, and their log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from conf import Settings
from metrics import declared as metrics
from metrics.latency import Latency

if TYPE_CHECKING:
    from prometheus_client import Counter

    from gateway.base import Handler

logger = structlog.get_logger()


class Traffic:
    """Keeps the metrics' children, for finding one costs more than counting with it."""

    def __init__(self, settings: Settings) -> None:
        self._verbose = settings.log_level == "debug"
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
        if status < 500 and not self._verbose:
            return
        log = logger.warning if status >= 500 else logger.debug
        log(
            "request",
            method=request.method,
            route=handler.route,
            status=status,
            seconds=round(took_s, 6),
            request_id=handler.request_id(),
        )
