import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from metrics.tally import Tally


def text(kind: type[Counter]) -> list[str]:
    registry = CollectorRegistry()
    plain = kind("t_total", "plain", registry=registry)
    labelled = kind("l_total", "labelled", ["what"], registry=registry)
    labelled.labels("at 0")
    for amount in (1, 2.5):
        plain.inc(amount)
        labelled.labels("a").inc(amount)
    labelled.labels("a").inc()
    generate_latest(registry)  # reading counts nothing
    return [line for line in generate_latest(registry).decode().splitlines() if "_created{" not in line and "_created " not in line]


def test_it_exposes_what_the_librarys_counter_would() -> None:
    assert text(Tally) == text(Counter)


def test_counting_without_the_labels_is_an_error() -> None:
    metric = Tally("c_total", "x", ["what"], registry=None)
    assert type(metric.labels("a")) is Tally
    with pytest.raises(AttributeError):
        metric.inc()
