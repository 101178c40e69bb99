"""`python -m bench.unmeasured COMMAND`: run.py with metrics that observe nothing, the floor of what observing costs."""

import sys

from prometheus_client import Counter, Gauge

from commands.line import main
from metrics.latency import Latency

OBSERVING = {Counter: ("inc",), Gauge: ("inc", "dec", "set"), Latency: ("observe",)}


def _nothing(*_: object) -> None:
    """Observe nothing; the call itself is what is left."""


if __name__ == "__main__":
    for kind, verbs in OBSERVING.items():
        for verb in verbs:
            setattr(kind, verb, _nothing)
    sys.exit(main(sys.argv[1:]))
