"""Routes for operators: health, readiness, metrics, and what clients measured and what broke in them."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import msgspec
import structlog
from msgspec import Meta
from tornado.httputil import split_host_and_port

from gateway.http.base import Handler
from gateway.http.client_address import is_within
from gateway.http.connections import local_port
from gateway.http.describe import chars, describe, many
from gateway.http.errors import ProblemError
from gateway.http.metrics_pages import KEY
from gateway.http.request import field_error
from metrics import declared, exposition
from models.store.text_rules import is_displayable

logger = structlog.get_logger()

MAX_SEND_S, MAX_TIMES_PER_REQUEST = 300.0, 100
PARTS = ("page", "area", "event", "events", "section", "state")  # of the page, that it names when it reports an error
OTHER = "other"  # the part of errors elsewhere: in one view of the page, whose name is in the log, and in other clients
declared.begin_at_0(declared.CLIENT_ERRORS_TOTAL, [*PARTS, OTHER])


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
        """Answer 200 to the addresses of BELLWIRE_METRICS_ALLOW. A forwarded request is accepted from trusted proxies only.

        Of several gateways on one port, the page has the metrics of all, each with the label `gateway`.
        """
        pages, accept = self.services.metrics_pages, self.request.headers.get("Accept", "")
        if pages is not None and pages.is_sibling(self.request.headers.get(KEY, "")):
            body, content_type = exposition(accept)
        else:
            _require_allowed(self)
            is_own = pages is None or local_port(self) == pages.own_port
            body, content_type = exposition(accept) if is_own or pages is None else await pages.all(accept)
        self.set_header("Content-Type", content_type)
        self.answer(body)


class TargetGroup(msgspec.Struct):
    """Addresses for Prometheus, `host:port`."""

    targets: list[str]
    labels: dict[str, str]


class MetricsTargets(Handler):
    """The addresses of the metrics of each gateway on this port."""

    access = "public"

    @describe("List the metrics' addresses", {200: list[TargetGroup]}, errors=("forbidden",))
    async def get(self) -> None:
        """Answer 200 with what Prometheus' `http_sd_configs` reads: each gateway by itself, at the host that was called."""
        _require_allowed(self)
        host, port = split_host_and_port(self.request.host)
        pages = self.services.metrics_pages
        ports = [port or self.services.settings.port] if pages is None else pages.ports
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.answer([TargetGroup([f"{host}:{each}" for each in ports], {})])


def _require_allowed(handler: Handler) -> None:
    """Raise ProblemError for clients that may not read metrics."""
    peer = handler.request.remote_ip or ""
    forwarded = "X-Forwarded-For" in handler.request.headers
    if (forwarded and not handler.services.is_trusted_proxy(peer)) or (not forwarded and "Forwarded" in handler.request.headers):
        raise ProblemError("forbidden")
    if not is_within(handler.client_address(), handler.services.settings.metrics_allow):
        raise ProblemError("forbidden")


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


class ClientError(msgspec.Struct, forbid_unknown_fields=True):
    """A failure in a client, without any contents: the part of the client, and the kind of error with its place in the code."""

    where: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$(?!\n)")]
    what: Annotated[str, chars(1, 100)]


class ErrorTelemetry(Handler):
    """Errors in clients, also of people who are not signed in."""

    access = "public"
    rate_limit: ClassVar[str] = "client_errors"

    @describe(
        "Report an error in a client", {204: None}, body=ClientError, example={"where": "page", "what": "TypeError app.js:12"}
    )
    async def post(self) -> None:
        """Count and log it, and answer 204."""
        error = self.decode(ClientError)
        if not is_displayable(error.what):
            raise field_error("what", "must be printable characters")
        declared.CLIENT_ERRORS_TOTAL.labels(error.where if error.where in PARTS else OTHER).inc()
        logger.warning("client_error", where=error.where, what=error.what)
        self.answer(None, 204)
