"""Push subscriptions of the caller's browsers, and the key with which a browser subscribes."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from gateway.api.sessions import session_label
from gateway.http.base import Handler
from gateway.http.describe import PAGED, Listed, chars, describe
from gateway.http.request import field_error
from jobs.hooks.addresses import may_push_to
from models.identity.token import LABEL_CHARS
from models.notices import push_key
from models.notices import push_subscriptions as subscriptions
from models.notices.push_subscriptions import (
    AUTH_EXPECTED,
    ENDPOINT_EXPECTED,
    MAX_ENDPOINT_CHARS,
    MAX_KEY_CHARS,
    POINT_EXPECTED,
    PushSubscriptionView,
)
from models.store.text_rules import is_displayable

EXAMPLE = {
    "endpoint": "https://push.example.org/send/dGhpcyBicm93c2Vy?v=2",
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
    "label": "Ana's phone",
}
Address = Annotated[str, chars(1, MAX_ENDPOINT_CHARS, "an https address")]


class PushKey(TypedDict):
    """The public key of this installation, for `pushManager.subscribe`: a point of P-256 in base64url (RFC 8292)."""

    key: str


class PushKeys(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of a browser (RFC 8291)."""

    p256dh: Annotated[str, chars(1, MAX_KEY_CHARS), Meta(description=POINT_EXPECTED)]
    auth: Annotated[str, chars(1, MAX_KEY_CHARS), Meta(description=AUTH_EXPECTED)]


class NewPushSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """A browser's PushSubscription as JSON, and a label by which its owner knows it. `expirationTime` is ignored."""

    endpoint: Address
    keys: PushKeys
    label: Annotated[str, chars(0, LABEL_CHARS)] | None = None
    expiration_time: Any = msgspec.field(name="expirationTime", default=None)


class EndedPushSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """A browser's PushSubscription as JSON, of which only the endpoint is read."""

    endpoint: Address
    keys: Any = None
    expiration_time: Any = msgspec.field(name="expirationTime", default=None)


class InstallationKey(Handler):
    """The key of this installation."""

    @describe("Read the key to subscribe to pushes with", {200: PushKey})
    async def get(self) -> None:
        """Answer 200 with `{"key"}`, the `applicationServerKey` of a browser's subscription."""
        self.answer({"key": await self.read(push_key.public)})


class PushSubscriptions(Handler):
    """The caller's push subscriptions."""

    refuses_acting = "a subscription belongs to a browser of the user's own"

    @describe("List my push subscriptions", {200: Listed[PushSubscriptionView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of `{"id","label","service","endpoint","created_at","renewed_at"}`, by id."""
        user = self.actor.user
        await self.answer_list_by_id(lambda after, count: self.read(subscriptions.page, user, after or 0, count))

    @describe("Subscribe a browser to pushes", {204: None}, body=NewPushSubscription, example=EXAMPLE)
    async def put(self) -> None:
        """Answer 204. The subscription ends with this session. A user has at most 20: one more ends the one renewed least recently.
        One of another user becomes the caller's."""
        new, actor = self.decode(NewPushSubscription), self.actor
        endpoint = subscriptions.endpoint_of(new.endpoint, new.keys.p256dh, new.keys.auth)
        if not may_push_to(new.endpoint, self.services.settings.webhook_allow):
            raise field_error("endpoint", f"{ENDPOINT_EXPECTED}, nor of a private network")
        if new.label and not is_displayable(new.label):
            raise field_error("label", "must have printable characters only")
        label = new.label or session_label(self.request.headers.get("User-Agent", ""))
        await self.commit(lambda tx: subscriptions.put(tx, actor.user, actor.token, endpoint, label))
        self.answer(None, 204)

    @describe("End a push subscription", {204: None}, body=EndedPushSubscription, example={"endpoint": EXAMPLE["endpoint"]})
    async def delete(self) -> None:
        """Answer 204, also if there was none of the caller's."""
        user, address = self.actor.user, self.decode(EndedPushSubscription).endpoint
        await self.commit(lambda tx: subscriptions.delete(tx, user, address))
        self.answer(None, 204)
