"""Webhooks are signed as Standard Webhooks (standardwebhooks.com): this checks what a receiver was sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from binascii import Error as EncodingError
from collections.abc import Mapping
from typing import Any

from bellwire_client.errors import BellwireError

TOLERANCE_S = 300  # between the sender's clock and this one
PREFIX = "whsec_"


class WebhookVerificationError(BellwireError):
    """The request is not one of Bellwire: its signature is missing, wrong or too old."""


def verify_webhook(body: bytes | str, headers: Mapping[str, str], secret: str) -> dict[str, Any]:
    """Check the signature of a webhook, and return its `{"type","timestamp","data"}`.

    `body` is what arrived, byte for byte; `headers` has `webhook-id`, `webhook-timestamp` and `webhook-signature`, in any case;
    `secret` is what making or rotating the webhook answered. The id is the event's cursor: a webhook may come more than once.
    Raises WebhookVerificationError.
    """
    content = body.encode() if isinstance(body, str) else body
    sent = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (sent[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        is_near = abs(time.time() - int(timestamp)) <= TOLERANCE_S
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (KeyError, ValueError, EncodingError) as error:
        raise WebhookVerificationError("a header of the webhook is missing or wrong, or the secret is none") from error
    signed = b"%s.%s.%s" % (message_id.encode(), timestamp.encode(), content)
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = [signature.removeprefix("v1,").encode() for signature in signatures.split() if signature.startswith("v1,")]
    if not is_near or not any(hmac.compare_digest(expected, signature) for signature in given):
        raise WebhookVerificationError("the signature of the webhook is wrong or too old")
    return dict(json.loads(content))
