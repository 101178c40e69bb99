"""A histogram for the hot paths: Prometheus' own in what it exposes, several times cheaper to observe."""

from bisect import bisect_left
from collections.abc import Iterable
from threading import Lock
from typing import Any

from prometheus_client import Histogram
from prometheus_client.samples import Sample


class Latency(Histogram):
    """A Histogram whose `observe` finds its bucket by bisection and takes one lock instead of two.

    It counts by itself and hands the counts to the library when they are read, so it knows neither exemplars nor the
    multiprocess mode (each process here is scraped by itself). Children that `labels()` makes are of this class too.
    Keep a child in a variable where the labels are fixed: `labels()` costs more than `observe` does.
    """

    def _metric_init(self) -> None:
        super()._metric_init()
        self._bounds = tuple(self._upper_bounds)
        self._counts = [0] * len(self._bounds)
        self._total = 0.0
        self._guard = Lock()

    def observe(self, amount: float, exemplar: Any = None) -> None:
        """Count `amount`, in seconds for a latency; `exemplar` is ignored. A metric with labels has no `_bounds` of its
        own, so observing it rather than a child raises AttributeError."""
        index = bisect_left(self._bounds, amount)
        with self._guard:
            self._counts[index] += 1
            self._total += amount

    def _child_samples(self) -> Iterable[Sample]:
        with self._guard:
            counts, total = self._counts.copy(), self._total
        for bucket, count in zip(self._buckets, counts, strict=True):
            bucket.set(count)
        self._sum.set(total)
        return super()._child_samples()
