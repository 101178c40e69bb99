from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from metrics.latency import MAX_UNSORTED, Latency

BUCKETS = (0.001, 0.01, 0.1, 1.0)


def text(kind: type[Histogram], values: list[float]) -> list[str]:
    registry = CollectorRegistry()
    plain = kind("t_seconds", "plain", buckets=BUCKETS, registry=registry)
    labelled = kind("l_seconds", "labelled", ["what"], buckets=BUCKETS, registry=registry)
    for value in values:
        plain.observe(value)
        labelled.labels("a").observe(value)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created{" not in line and "_created " not in line]


@given(st.lists(st.one_of(st.sampled_from([0.0, *BUCKETS]), st.floats(0, 10))))
def test_it_exposes_what_the_librarys_histogram_would(values: list[float]) -> None:
    assert text(Latency, values) == text(Histogram, values)


def test_a_child_is_of_the_cheap_class_too() -> None:
    metric = Latency("c_seconds", "x", ["what"], buckets=BUCKETS, registry=None)
    assert type(metric.labels("a")) is Latency


def test_observing_without_the_labels_is_an_error() -> None:
    metric = Latency("c_seconds", "x", ["what"], buckets=BUCKETS, registry=None)
    with pytest.raises(AttributeError):
        metric.observe(1)


def test_reading_twice_counts_nothing_twice() -> None:
    registry = CollectorRegistry()
    metric = Latency("r_seconds", "x", buckets=BUCKETS, registry=registry)
    metric.observe(0.5)
    for _ in range(2):
        assert registry.get_sample_value("r_seconds_count") == 1
        assert registry.get_sample_value("r_seconds_sum") == 0.5


def test_values_that_nobody_reads_are_counted_in_bounded_memory() -> None:
    registry = CollectorRegistry()
    metric = Latency("u_seconds", "x", buckets=BUCKETS, registry=registry)
    for n in range(3 * MAX_UNSORTED + 1):
        metric.observe(n % 2)
        assert len(metric._unsorted) < MAX_UNSORTED
    assert registry.get_sample_value("u_seconds_count") == 3 * MAX_UNSORTED + 1
    assert registry.get_sample_value("u_seconds_bucket", {"le": "0.001"}) == 1.5 * MAX_UNSORTED + 1


def test_time_observes_seconds() -> None:
    registry = CollectorRegistry()
    metric = Latency("w_seconds", "x", buckets=BUCKETS, registry=registry)
    with metric.time():
        pass
    assert registry.get_sample_value("w_seconds_bucket", {"le": "1.0"}) == 1


def test_no_observation_of_many_threads_is_lost() -> None:
    registry = CollectorRegistry()
    metric = Latency("m_seconds", "x", buckets=BUCKETS, registry=registry)
    threads = [Thread(target=lambda: [metric.observe(0.5) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        registry.get_sample_value("m_seconds_count")  # a read sorts the values while others append
    for thread in threads:
        thread.join()
    assert registry.get_sample_value("m_seconds_count") == 20_000
    assert registry.get_sample_value("m_seconds_sum") == 10_000
