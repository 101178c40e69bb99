"""For those who run it: health, readiness, metrics, and what clients measured."""

from __future__ import annotations

import asyncio
import ipaddress
import math

import msgspec

from gateway.asked import field_error
from gateway.base import Handler
from gateway.errors import ProblemError
from metrics import declared, exposition
from models import schema

PATIENCE_S = 1.0  # a store that does not answer is down, as far as whoever asks is concerned
SECONDS_MAX, VALUES_MAX = 300.0, 100


class Health(Handler):
    """The process lives."""

    access = "public"
    limit = "none"

    async def get(self) -> None:
        """200."""
        self.answer({"status": "ok"})


class Ready(Handler):
    """Whether to send it requests."""

    access = "public"

    async def get(self) -> None:
        """200 `{"degraded":[…]}`; 503 and which when the store or schema fails or the gateway is shutting down."""
        failing = "shutdown" if self.services.stopping else await self._failing()
        if failing:
            raise ProblemError("unavailable", f"not ready: {failing}", {"Retry-After": "1"}, failing=[failing])
        self.answer({"degraded": self.services.degraded()})

    async def _failing(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return "schema" if await self.services.read(schema.pending) else ""
        except Exception:
            return "store"


class Metrics(Handler):
    """Prometheus text or OpenMetrics."""

    access = "public"

    async def get(self) -> None:
        """200, for BELLWIRE_METRICS_ALLOW; forwarded requests count only from trusted proxies."""
        peer = self.request.remote_ip or ""
        told = "X-Forwarded-For" in self.request.headers
        if (told and not self.services.trusts(peer)) or (not told and "Forwarded" in self.request.headers):
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


class Measured(msgspec.Struct, forbid_unknown_fields=True):
    """Seconds that sends took, as their sender saw them."""

    seconds: list[float]


class Telemetry(Handler):
    """POST: what senders measured themselves."""

    async def post(self) -> None:
        """204."""
        seconds = self.decode(Measured).seconds
        if len(seconds) > VALUES_MAX or not all(math.isfinite(s) and 0 <= s <= SECONDS_MAX for s in seconds):
            raise field_error("seconds", f"at most {VALUES_MAX} values from 0 to {SECONDS_MAX:g}")
        for value in seconds:
            declared.CLIENT_SEND_SECONDS.observe(value)
        self.answer(None, 204)


class Welcome(Handler):
    """The root: what this is, and where to begin."""

    access = "public"

    async def get(self) -> None:
        """200 text."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.answer(WELCOME.encode())


WELCOME = """Bellwire is running.

Send a message:   POST /api/v1/messages         {"to": USER_ID, "body": "hello"}
Wait for events:  GET  /api/v1/events?cursor=CURSOR
Where to start:   GET  /api/v1/state
All calls take    Authorization: Bearer TOKEN   (run.py create-admin, run.py token USERNAME)

README.md shows a first message with curl.
"""
