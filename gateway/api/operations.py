"""Routes for operators: health, readiness, metrics, and the times that clients measured."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from gateway.http.base import Handler
from gateway.http.client_address import is_within
from gateway.http.describe import describe, many
from gateway.http.errors import ProblemError
from metrics import declared, exposition

MAX_SEND_S, MAX_TIMES_PER_REQUEST = 300.0, 100


class HealthAnswer(TypedDict):
    """The process is running."""

    status: str


class ReadinessAnswer(TypedDict):
    """The parts that do not work at present, although every promise is kept without them."""

    degraded: list[str]


class Health(Handler):
    """Health: whether the process is running."""

    access = "public"
    rate_limit = "none"

    @describe("Check health", {200: HealthAnswer})
    async def get(self) -> None:
        """Answer 200 as long as the process runs."""
        self.answer({"status": "ok"})


class Readiness(Handler):
    """Readiness: whether a load balancer should send requests to this gateway."""

    access = "public"

    @describe("Check readiness", {200: ReadinessAnswer}, errors=("unavailable",))
    async def get(self) -> None:
        """Answer 200 with `{"degraded":[…]}`, or 503 with `failing`: store, schema, commits, loop or shutdown."""
        health = self.services.health
        if failing := health.failing():
            raise ProblemError("unavailable", f"not ready: {', '.join(failing)}", {"Retry-After": "1"}, failing=failing)
        self.answer({"degraded": health.degraded()})


class Metrics(Handler):
    """The metrics, in the text format of Prometheus or in OpenMetrics."""

    access = "public"

    @describe("Read the metrics", {200: ("text/plain", "application/openmetrics-text")}, errors=("forbidden",))
    async def get(self) -> None:
        """Answer 200 to the addresses of BELLWIRE_METRICS_ALLOW. A forwarded request is accepted from trusted proxies only."""
        peer = self.request.remote_ip or ""
        forwarded = "X-Forwarded-For" in self.request.headers
        if (forwarded and not self.services.is_trusted_proxy(peer)) or (not forwarded and "Forwarded" in self.request.headers):
            raise ProblemError("forbidden")
        if not is_within(self.client_address(), self.services.settings.metrics_allow):
            raise ProblemError("forbidden")
        body, content_type = exposition(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        self.answer(body)


class SendTimes(msgspec.Struct, forbid_unknown_fields=True):
    """The durations of sends in seconds, as measured by the client that sent."""

    seconds: Annotated[list[Annotated[float, Meta(ge=0, le=MAX_SEND_S)]], many(0, MAX_TIMES_PER_REQUEST)]


class SendTelemetry(Handler):
    """Durations of sends, as measured by clients."""

    @describe("Report durations of sends", {204: None}, body=SendTimes, example={"seconds": [0.012, 0.031]})
    async def post(self) -> None:
        """Answer 204."""
        for value in self.decode(SendTimes).seconds:
            declared.CLIENT_SEND_SECONDS.observe(value)
        self.answer(None, 204)
