"""Messages of programs: an incoming hook's address is the capability to write into one conversation. No log has it."""

from __future__ import annotations

import hashlib
from typing import ClassVar
from urllib.parse import parse_qs

import msgspec

from gateway.api.hook_texts import IncomingText, text_of
from gateway.api.messages import SENT
from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import describe
from gateway.http.handling import JSON
from gateway.http.request import field_error, malformed
from models.chat.drafts import MAX_CLIENT_ID_CHARS
from models.chat.message import MessageView
from models.hooks import incoming

IDEMPOTENCY_KEY = "Idempotency-Key"
FORM = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 20


class IncomingMessages(Handler):
    """Writes a message of a hook's bot. Each hook has a rate limit of its own."""

    access = "public"
    body_limit = MESSAGE_BODY_BYTES
    content_types: ClassVar[tuple[str, ...]] = (JSON, FORM)
    rate_limit: ClassVar[str] = "none"

    @describe(
        "Write by an incoming hook",
        {201: MessageView, 200: MessageView},
        body=IncomingText,
        errors=("not-found", "rate-limited"),
        example={"text": "build 42 has passed"},
    )
    async def post(self, secret: str) -> None:
        """Answer 201 with MESSAGE, or 200 with the earlier one if this Idempotency-Key was used before. A form has the JSON in its
        field `payload`, or the text in `text`."""
        target = await self.services.read(incoming.find, secret)
        await self.services.rate_limits.hit("hooks", f"hook:{target.hook}")
        if self.request.headers.get("Content-Type", "").lower().startswith(FORM):
            self.request.body = _json_of(self.request.body)
        text = text_of(self.decode(IncomingText))
        if not text:
            raise field_error("text", "must be there, or the alerts of Alertmanager or Grafana")
        key = self._key()
        posted = await self.services.committer.call(None, lambda tx: incoming.post(tx, secret, text, key))
        if posted.created:
            SENT[posted.kind].inc()
        self.answer(posted.json, 201 if posted.created else 200)

    def _key(self) -> str | None:
        key = self.request.headers.get(IDEMPOTENCY_KEY)
        if not key:
            return None
        return key if len(key) <= MAX_CLIENT_ID_CHARS else hashlib.sha256(key.encode()).hexdigest()


def _json_of(form: bytes) -> bytes:
    """The JSON in a form, as some of Slack's senders write it. Raises ProblemError 400."""
    try:
        fields = parse_qs(form.decode(), max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise malformed() from None
    if "payload" in fields:
        return fields["payload"][0].encode()
    return msgspec.json.encode({"text": fields.get("text", [""])[0]})
