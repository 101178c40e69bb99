import ast
import itertools
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from metrics import declared

# name: kind and labels, as the documentation of the metrics gives them
NAMES: dict[str, tuple[type[MetricWrapperBase], tuple[str, ...]]] = {
    "message_send_seconds": (Histogram, ("outcome",)),
    "messages_sent_total": (Counter, ("kind",)),
    "send_stage_seconds": (Histogram, ("stage",)),
    "delivery_seconds": (Histogram, ("transport",)),
    "tail_lag_seconds": (Histogram, ()),
    "client_send_seconds": (Histogram, ()),
    "polls_open": (Gauge, ("transport",)),
    "poll_seconds": (Histogram, ("outcome",)),
    "commit_seconds": (Histogram, ()),
    "commit_batch_size": (Histogram, ()),
    "operation_seconds": (Histogram, ()),
    "commit_queue": (Gauge, ()),
    "log_events_total": (Counter, ()),
    "log_lag_seconds": (Gauge, ("consumer",)),
    "job_seconds": (Histogram, ("task", "outcome")),
    "job_wait_seconds": (Histogram, ("task",)),
    "queue_depth": (Gauge, ("queue",)),
    "queue_oldest_seconds": (Gauge, ("queue",)),
    "queue_fallback_total": (Counter, ("task",)),
    "notifications_total": (Counter, ("type", "channel")),
    "emails_total": (Counter, ("kind", "outcome")),
    "email_seconds": (Histogram, ("kind", "outcome")),
    "pushes_total": (Counter, ("outcome",)),
    "push_seconds": (Histogram, ("outcome",)),
    "pushes_waiting": (Gauge, ()),
    "signup_stage_seconds": (Histogram, ("stage",)),
    "file_uploads_total": (Counter, ("outcome",)),
    "file_pictures_total": (Counter, ("outcome",)),
    "file_thumbnail_seconds": (Histogram, ()),
    "files_pending": (Gauge, ()),
    "files_stored_bytes": (Gauge, ()),
    "webhook_seconds": (Histogram, ("outcome",)),
    "webhook_lag_seconds": (Gauge, ()),
    "webhooks": (Gauge, ("state",)),
    "reports_open": (Gauge, ()),
    "reports_oldest_seconds": (Gauge, ()),
    "table_rows": (Gauge, ("table",)),
    "database_bytes": (Gauge, ()),
    "wal_bytes": (Gauge, ()),
    "disk_free_bytes": (Gauge, ()),
    "drain_seconds": (Histogram, ("consumer",)),
    "drain_rows_total": (Counter, ("consumer",)),
    "dead_events_total": (Counter, ("consumer",)),
    "http_requests_total": (Counter, ("method", "route", "status")),
    "http_request_seconds": (Histogram, ("method", "route", "status")),
    "loop_lag_seconds": (Histogram, ()),
    "channel_lost_total": (Counter, ("side",)),
    "rate_limited_total": (Counter, ("what",)),
    "auth_failures_total": (Counter, ("what",)),
    "client_errors_total": (Counter, ("where",)),
    "ready": (Gauge, ()),
    "degraded": (Gauge, ("part",)),
    "failures_total": (Counter, ("what",)),
    "build_info": (Gauge, ("version", "database", "queue", "bus")),
}

METRICS = {name: metric for name, metric in vars(declared).items() if isinstance(metric, MetricWrapperBase)}


def test_the_declared_metrics_are_the_documented_ones() -> None:
    assert sorted(METRICS) == sorted(name.upper() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_name_kind_and_labels(name: str) -> None:
    metric = METRICS[name.upper()]
    kind, labels = NAMES[name]
    (family,) = metric.describe()
    suffix = "_total" if kind is Counter else ""
    assert family.name + suffix == f"bellwire_{name}"
    assert isinstance(metric, kind)
    assert metric._labelnames == labels
    assert family.documentation


def test_latency_buckets_are_dense_to_250_ms_and_reach_30_s() -> None:
    buckets = declared.LATENCY_BUCKETS_S
    assert list(buckets) == sorted(set(buckets))
    assert (buckets[0], buckets[-1]) == (0.0005, 30)
    fine = [bound for bound in buckets if bound <= 0.25]
    assert fine[-1] == 0.25
    assert all(high / low <= 2 for low, high in itertools.pairwise(fine))


def test_the_package_imports_nothing_else_of_the_project() -> None:
    root = Path(declared.__file__).parents[1]
    ours = {path.name for path in root.iterdir() if path.is_dir()} - {"metrics"}
    for file in (root / "metrics").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert not {name.split(".")[0] for name in names} & ours, file
