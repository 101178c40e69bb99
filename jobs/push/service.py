"""One push service: its connections, how many pushes it is sent at a time, and a pause when it fails.

A body is encrypted for the browser alone (RFC 8291). A service that does not answer occupies its own places only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from conf import VERSION, Settings
from jobs.hooks.addresses import RefusedAddressError, Resolver
from jobs.hooks.connection import Connections, Headers, Post
from jobs.hooks.posting import PORTS
from jobs.push.identification import Identification
from models.notices.push_outbox import DuePush
from models.store.backoff import Backoff

TIMEOUT_S = 8.0  # less than a lease
MAX_TO_SERVICE = 16  # at a time
TTL_S = 3 * 24 * 3600  # for so long the service keeps a push for a browser that is not connected
TOPIC_CHARS = 32  # at most, RFC 8030, section 5.4
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 300.0
MAX_RETRY_AFTER_S = 3600.0


class Answer(NamedTuple):
    """The status of an answer, and the seconds that it asks to wait; or an error when there was none. `refused`: the address is
    one that must not be called."""

    status: int | None
    retry_after_s: float = 0.0
    error: str = ""
    refused: bool = False


class PushService:
    """One push service, by scheme, name and port."""

    def __init__(self, endpoint: str, settings: Settings) -> None:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self.in_flight = 0
        self.has_answered = False
        self.used_at = time.monotonic()
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S, jitter=(0.75, 1.0))
        self._authority = parts.netloc.encode("ascii")
        self._resolver = Resolver(host, port, tuple(settings.webhook_allow))
        self._connections = Connections(host, port, tls=parts.scheme == "https")

    @property
    def free(self) -> int:
        """How many pushes it may be sent now: after a failure one, when its pause is over."""
        if not self._backoff.is_due():
            return 0
        return max(0, (1 if self._backoff.failures else MAX_TO_SERVICE) - self.in_flight)

    async def post(self, push: DuePush, body: bytes, identification: Identification) -> Answer:
        """Post an encrypted body. Of any error the text is returned."""
        parts = urlsplit(push.endpoint)
        target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
        answer = await self._answer(target, [(b"Host", self._authority), *headers(push, body, identification)], body)
        self.used_at = time.monotonic()
        if answer.status is None or answer.status == 429 or answer.status >= 500:
            if self._backoff.is_due():  # of several that fail together, one makes the pause longer
                self._backoff.record_failure()
        else:
            self.has_answered = True
            self._backoff.record_success()
        return answer

    async def _answer(self, target: bytes, head: Headers, body: bytes) -> Answer:
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                found = await self._resolver.resolve()
                response = await self._connections.post(found, Post(target, head, body, limit))
        except TimeoutError:
            return Answer(None, error=f"no answer within {TIMEOUT_S:g} s")
        except RefusedAddressError as error:
            return Answer(None, error=str(error), refused=True)
        except Exception as error:  # of any kind: it is tried again, and the others must go on
            return Answer(None, error=f"{type(error).__name__}: {error}")
        return Answer(response.status_code, retry_after_s(dict(response.headers).get(b"retry-after", b"")))

    def close_stale(self) -> None:
        """Close the connections that were not used for long, or that the service has closed."""
        self._connections.close_idle()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def encrypted(push: DuePush, payload: bytes) -> bytes:
    """Return a payload that only the browser can read (RFC 8291): one record, with a key that is used once."""
    key = ec.generate_private_key(ec.SECP256R1())
    body: bytes = http_ece.encrypt(payload, private_key=key, dh=_bytes_of(push.p256dh), auth_secret=_bytes_of(push.auth))
    return body


def _bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def topic(push: DuePush) -> str:
    """Return the name by which the service replaces an earlier push that it has not delivered. It says nothing of the subject, not
    even that two browsers have the same."""
    made = hashlib.sha256(f"{push.auth} {push.tag}".encode()).digest()
    return base64.urlsafe_b64encode(made).decode()[:TOPIC_CHARS]


def headers(push: DuePush, body: bytes, identification: Identification) -> Headers:
    """Return the headers of a push but Host (RFC 8030)."""
    fields = {
        "User-Agent": f"Bellwire/{VERSION}",
        "Authorization": identification.header(push.endpoint),
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "Content-Length": str(len(body)),
        "TTL": str(TTL_S),
        "Urgency": "high" if push.urgent else "normal",
        "Topic": topic(push),
    }
    return [(name.encode(), value.encode("ascii")) for name, value in fields.items()]


def retry_after_s(value: bytes) -> float:
    """Return the seconds of a Retry-After header, which has a number or a date (RFC 9110, section 10.2.3)."""
    text = value.decode("latin-1").strip()
    try:
        seconds = float(int(text)) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)
