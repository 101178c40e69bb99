"""One POST to a webhook, signed as the Standard Webhooks specification says (standardwebhooks.com)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook as Signer

from conf import VERSION, Settings
from jobs.hooks.addresses import Resolver
from jobs.hooks.connection import Connections, Headers, Post
from metrics.declared import WEBHOOK_SECONDS
from models.hooks.webhook import MAX_ERROR_CHARS
from models.log.event import Event
from models.store.clock import rfc3339

TIMEOUT_S = 10.0
MAX_IN_FLIGHT = 16  # of one webhook
PORTS = {"http": 80, "https": 443}
SECONDS = {outcome: WEBHOOK_SECONDS.labels(outcome) for outcome in ("accepted", "refused", "failed")}


class Outcome(NamedTuple):
    """The result of a delivery: the status of the answer, or an error when there was none."""

    status: int | None
    error: str | None

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver has the event."""
        return self.status is not None and 200 <= self.status < 300


def cursor_of(epoch: str, event: Event) -> str:
    """The event's cursor, which is the id of its delivery."""
    return f"{epoch}-{event.id}"


def body_of(epoch: str, event: Event) -> bytes:
    """`{"type","timestamp","data": EVENT}`, the stored data spliced in."""
    kind, at, stream = event.type.encode(), rfc3339(event.at_ms).encode(), msgspec.json.encode(event.stream)
    head = b'{"type":"%s","timestamp":"%s","data":{"id":"%s","type":"%s","at":"%s","data":'
    return head % (kind, at, cursor_of(epoch, event).encode(), kind, at) + event.data + b',"stream":' + stream + b"}}"


class Poster:
    """Posts to one address."""

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._authority = parts.netloc.encode("ascii")
        self._target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
        self._resolver = Resolver(host, port, tuple(settings.webhook_allow))
        self._connections = Connections(host, port, tls=parts.scheme == "https")

    async def post(self, secrets: list[str], id_: str, body: bytes) -> Outcome:
        """Post a body, signed with each secret. Of any error it returns the text."""
        began = time.perf_counter()
        outcome = await self._outcome(secrets, id_, body)
        label = "accepted" if outcome.is_accepted else "failed" if outcome.status is None else "refused"
        SECONDS[label].observe(time.perf_counter() - began)
        return outcome

    async def _outcome(self, secrets: list[str], id_: str, body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                found = await self._resolver.resolve()
                post = Post(self._target, _headers(self._authority, secrets, id_, body), body, limit)
                status = (await self._connections.post(found, post)).status_code
        except TimeoutError:
            return Outcome(None, f"no answer within {TIMEOUT_S:g} s")
        except Exception as error:  # of any kind: it is tried again, and the hook's task must live
            return Outcome(None, f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS])
        return Outcome(status, None if 200 <= status < 300 else f"answered {status}")

    def close_stale(self) -> None:
        """Close the connections that were not used for long, or that the receiver has closed."""
        self._connections.close_idle()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _headers(authority: bytes, secrets: list[str], id_: str, body: bytes) -> Headers:
    now = datetime.now(UTC)
    signatures = " ".join(Signer(secret).sign(id_, now, body.decode()) for secret in secrets)
    return [
        (b"Host", authority),
        (b"User-Agent", f"Bellwire/{VERSION}".encode()),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", str(len(body)).encode()),
        (b"webhook-id", id_.encode()),
        (b"webhook-timestamp", str(int(now.timestamp())).encode()),
        (b"webhook-signature", signatures.encode()),
    ]
