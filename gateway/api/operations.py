"""For those who run it: health, readiness, metrics, and what clients measured."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from gateway.http.base import Handler
from gateway.http.describe import describe, many
from gateway.http.errors import ProblemError
from metrics import declared, exposition
from models import schema

STORE_TIMEOUT_S = 1.0  # a store that does not answer is down, as far as whoever asks is concerned
SECONDS_MAX, VALUES_MAX = 300.0, 100


class HealthAnswer(TypedDict):
    """It lives."""

    status: str


class ReadinessAnswer(TypedDict):
    """What does not work at the moment, though all that is promised does."""

    degraded: list[str]


class Health(Handler):
    """The process lives."""

    access = "public"
    rate_limit = "none"

    @describe("Does it live", {200: HealthAnswer})
    async def get(self) -> None:
        """200."""
        self.answer({"status": "ok"})


class Readiness(Handler):
    """Whether to send it requests."""

    access = "public"

    @describe("Is it ready", {200: ReadinessAnswer}, errors=("unavailable",))
    async def get(self) -> None:
        """200 `{"degraded":[…]}`; 503 and which when the store or schema fails or the gateway is shutting down."""
        failing = "shutdown" if self.services.stopping else await self._failing()
        if failing:
            raise ProblemError("unavailable", f"not ready: {failing}", {"Retry-After": "1"}, failing=[failing])
        self.answer({"degraded": self.services.degraded()})

    async def _failing(self) -> str:
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                return "schema" if await self.services.read(schema.pending) else ""
        except Exception:
            return "store"


class Metrics(Handler):
    """Prometheus text or OpenMetrics."""

    access = "public"

    @describe("Read the metrics", {200: ("text/plain", "application/openmetrics-text")}, errors=("forbidden",))
    async def get(self) -> None:
        """200, for BELLWIRE_METRICS_ALLOW; forwarded requests count only from trusted proxies."""
        peer = self.request.remote_ip or ""
        forwarded = "X-Forwarded-For" in self.request.headers
        if (forwarded and not self.services.is_trusted_proxy(peer)) or (not forwarded and "Forwarded" in self.request.headers):
            raise ProblemError("forbidden")
        try:
            address = ipaddress.ip_address(self.client_address())
        except ValueError:
            raise ProblemError("forbidden") from None
        if not any(address in network for network in self.services.settings.metrics_allow):
            raise ProblemError("forbidden")
        body, content_type = exposition(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        self.answer(body)


class SendTimes(msgspec.Struct, forbid_unknown_fields=True):
    """Seconds that sends took, as their sender saw them."""

    seconds: Annotated[list[Annotated[float, Meta(ge=0, le=SECONDS_MAX)]], many(0, VALUES_MAX)]


class SendTelemetry(Handler):
    """POST: what senders measured themselves."""

    @describe("Tell what sends took", {204: None}, body=SendTimes, example={"seconds": [0.012, 0.031]})
    async def post(self) -> None:
        """204."""
        for value in self.decode(SendTimes).seconds:
            declared.CLIENT_SEND_SECONDS.observe(value)
        self.answer(None, 204)
