"""One POST to a webhook, signed as the Standard Webhooks specification says (standardwebhooks.com)."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from conf import VERSION, Settings
from jobs.hooks.addresses import Resolver
from jobs.hooks.connection import Connections, Post
from metrics.declared import WEBHOOK_SECONDS
from models.hooks.webhook import MAX_ERROR_CHARS, SECRET_PREFIX
from models.log.event import Event
from models.store.clock import rfc3339

TIMEOUT_S = 10.0
MAX_IN_FLIGHT = 16  # of one webhook
CONTENT_TYPE = "Content-Type: application/json"
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
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # The address has neither spaces nor control characters: `webhook.create` has checked it.
        lines = (f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", f"User-Agent: Bellwire/{VERSION}", CONTENT_TYPE, "")
        self._request_start = "\r\n".join(lines).encode("ascii")
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._resolver = Resolver(host, port, tuple(settings.webhook_allow))
        self._connections = Connections(host, port, tls=parts.scheme == "https")

    async def post(self, secrets: Sequence[str], id_: str, body: bytes) -> Outcome:
        """Post a body, signed with each secret. Of any error it returns the text."""
        began = time.perf_counter()
        outcome = await self._outcome(secrets, id_, body)
        label = "accepted" if outcome.is_accepted else "failed" if outcome.status is None else "refused"
        SECONDS[label].observe(time.perf_counter() - began)
        return outcome

    async def _outcome(self, secrets: Sequence[str], id_: str, body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                found = await self._resolver.resolve()
                request = b"%s%s\r\n%s" % (self._request_start, _signed_fields(secrets, id_.encode(), body), body)
                status = await self._connections.post(found, Post(request, limit))
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


def _signed_fields(secrets: Sequence[str], id_: bytes, body: bytes) -> bytes:
    """The fields of a request that differ from one to the next. The body is signed together with its id and the time."""
    now = int(time.time())
    content = b"%s.%d.%s" % (id_, now, body)
    signatures = b" ".join(b"v1," + b64encode(hmac.digest(_key_of(secret), content, "sha256")) for secret in secrets)
    fields = b"Content-Length: %d\r\nwebhook-id: %s\r\nwebhook-timestamp: %d\r\nwebhook-signature: %s\r\n"
    return fields % (len(body), id_, now, signatures)


@lru_cache(maxsize=256)
def _key_of(secret: str) -> bytes:
    """Return the bytes with which a secret signs."""
    return b64decode(secret.removeprefix(SECRET_PREFIX))
