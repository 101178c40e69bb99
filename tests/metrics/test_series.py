"""Series whose labels are known exist at 0 from the start, so that Prometheus sees their first increase."""

from collections.abc import Callable

import pytest
from prometheus_client import generate_latest

from jobs import signals
from tests.gateway.running import Gateway

GATEWAY = [
    *(f'bellwire_auth_failures_total{{what="{what}"}}' for what in ("token", "password", "code")),
    *(f'bellwire_rate_limited_total{{what="{what}"}}' for what in ("send", "signup", "login", "otp", "typing", "api")),
    *(f'bellwire_signup_stage_seconds_count{{stage="{stage}"}}' for stage in ("hash", "wait", "commit")),
    *(f'bellwire_message_send_seconds_count{{outcome="{outcome}"}}' for outcome in ("ok", "duplicate", "refused", "error")),
    *(f'bellwire_degraded{{part="{part}"}}' for part in ("queue", "bus", "limits", "mail")),
    *(f'bellwire_queue_fallback_total{{task="{task}"}}' for task in ("drain", "mail")),
    *(
        f'bellwire_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'
        for method, route in (("POST", "/api/v1/messages"), ("GET", "/api/v1/events"), ("PATCH", "/api/v1/admin/users/ID"))
        for status in (500, 503)
    ),
]
WORKER = [
    *(f'bellwire_drain_rows_total{{consumer="{consumer}"}}' for consumer in ("notify", "activity", "search")),
    *(f'bellwire_dead_events_total{{consumer="{consumer}"}}' for consumer in ("notify", "activity", "search")),
    *(f'bellwire_notifications_total{{channel="{c}",type="{t}"}}' for c in ("in_app", "email") for t in ("message", "account")),
    'bellwire_emails_total{kind="login_code",outcome="dead"}',
    'bellwire_email_seconds_count{kind="login_code",outcome="sent"}',
]


@pytest.mark.only("sqlite")
def test_a_gateways_series_begin_at_0(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(RATE_LIMITS="on")
    lines = gateway.http.get("/metrics").text.splitlines()
    assert not [series for series in GATEWAY if f"{series} 0.0" not in lines]


def test_a_worker_creates_its_series_at_its_start() -> None:
    signals.create_series(["notify", "activity", "search"])
    page = generate_latest().decode()
    assert not [series for series in WORKER if f"\n{series} " not in page]
