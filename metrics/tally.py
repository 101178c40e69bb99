"""A counter for the hot paths: it exposes the same as the library's, and counting takes no lock."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter
from prometheus_client.samples import Sample


class Tally(Counter):
    """A Counter that one thread counts with; any thread may read it. Exemplars, `reset` and the multiprocess mode are not
    supported.

    Children that `labels()` makes are of this class too.
    """

    def _metric_init(self) -> None:
        super()._metric_init()
        self._count: float = 0

    def inc(self, amount: float = 1, exemplar: Any = None) -> None:
        """Count `amount`; `exemplar` is ignored. Raises AttributeError on a metric with labels: count with one of its children."""
        self._count += amount

    def _child_samples(self) -> Iterable[Sample]:
        self._value.set(self._count)
        return super()._child_samples()
