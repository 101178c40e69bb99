"""Webhooks: addresses of the host's backend that events are pushed to, as managed by admins."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin.base import AdminHandler
from gateway.api.subscribing import BEGIN, position_of
from gateway.http.base import Handler
from gateway.http.describe import PAGED, Accepted, Listed, chars, describe, many, one_of
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from models.hooks import webhook as hooks
from models.hooks.webhook import MAX_DESCRIPTION_CHARS, MAX_URL_CHARS, STATES, NotKeptError, WebhookView
from models.log.event import Transaction
from models.log.type_patterns import MAX_PATTERN_CHARS, MAX_PATTERNS
from models.store.errors import ExpiredError

EXAMPLE_URL = "https://shop.example.org/bellwire"
Url = Annotated[str, chars(1, MAX_URL_CHARS, "http or https")]
Types = Annotated[
    list[Annotated[str, chars(1, MAX_PATTERN_CHARS)]], many(0, MAX_PATTERNS), Meta(description="such as `message.*`; none: all")
]
Text = Annotated[str, chars(0, MAX_DESCRIPTION_CHARS)]
Cursor = Annotated[str, chars(1, 100, f"a cursor, or `{BEGIN}`")]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """A webhook to create."""

    url: Url
    types: Types | None = None
    description: Text = ""
    start: Annotated[Cursor, Meta(description=f"where it begins: a cursor, or `{BEGIN}`; by default now")] | None = msgspec.field(
        name="from", default=None
    )


class WebhookChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a webhook. `rotate` makes a new secret; the one of before signs, too, for a day."""

    url: Url | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    state: Annotated[str, one_of(STATES)] | UnsetType = UNSET
    rotate: bool = False


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """Where to deliver from: either a cursor or a time."""

    cursor: Cursor | None = None
    time: Annotated[str, chars(1, 40, "RFC 3339")] | None = None


class WebhookWithSecret(WebhookView):
    """A webhook with its secret, which is shown after creating and after rotating only."""

    secret: str | UnsetType = UNSET


def _position(handler: Handler, field: str, cursor: str) -> int:
    """The position of a cursor in a body. Raises ProblemError 410, or 422 if the text is not a cursor."""
    try:
        return position_of(handler, cursor, field)
    except ExpiredError:
        raise _expired(handler) from None


def _expired(handler: Handler) -> ProblemError:
    hub = handler.services.hub
    return ProblemError("cursor-expired", "what follows this cursor is not kept", cursor=hub.cursor(hub.head))


class Webhooks(AdminHandler):
    """All webhooks."""

    @describe("List webhooks", {200: Listed[WebhookView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of WEBHOOK, oldest first."""
        await self.answer_list_by_id(lambda after, count: self.read(hooks.page, after, count))

    @describe(
        "Create a webhook",
        {201: WebhookWithSecret},
        body=NewWebhook,
        errors=("conflict", "cursor-expired"),
        example={"url": EXAMPLE_URL, "types": ["message.*"]},
    )
    async def post(self) -> None:
        """Answer 201 with WEBHOOK and its secret."""
        new, by, key = self.decode(NewWebhook), self.actor.user, self.services.secret
        position = None if new.start is None else _position(self, "from", new.start)

        def create(tx: Transaction) -> tuple[WebhookView, str]:
            return hooks.create(tx, key, by, new.url, new.types or [], new.description, position)

        try:
            view, secret = await self.commit(create)
        except NotKeptError:
            raise _expired(self) from None
        self.answer(WebhookWithSecret(**msgspec.structs.asdict(view), secret=secret), 201)


class Webhook(AdminHandler):
    """A webhook."""

    @describe("Read a webhook", {200: WebhookView})
    async def get(self, webhook: str) -> None:
        """Answer 200 with WEBHOOK."""
        self.answer(await self.read(hooks.find, int(webhook)))

    @describe("Change a webhook", {200: WebhookWithSecret}, body=WebhookChange, example={"state": "active"})
    async def patch(self, webhook: str) -> None:
        """Answer 200 with WEBHOOK, after `rotate` with the new secret."""
        new, number, key = self.decode(WebhookChange), int(webhook), self.services.secret
        names = ("url", "types", "description", "state")
        changes: dict[str, Any] = {name: value for name in names if (value := getattr(new, name)) is not UNSET}

        def change(tx: Transaction) -> tuple[WebhookView, str | UnsetType]:
            hooks.change(tx, number, changes)
            secret = hooks.rotate(tx, key, number) if new.rotate else UNSET
            return hooks.find(number), secret

        view, secret = await self.commit(change)
        self.answer(WebhookWithSecret(**msgspec.structs.asdict(view), secret=secret))

    @describe("Delete a webhook", {204: None})
    async def delete(self, webhook: str) -> None:
        """Answer 204."""
        number = int(webhook)
        await self.commit(lambda tx: hooks.delete(tx, number))
        self.answer(None, 204)


class WebhookTest(AdminHandler):
    """Tests of a webhook."""

    @describe("Test a webhook", {202: Accepted})
    async def post(self, webhook: str) -> None:
        """Answer 202. An event `webhook.test` is delivered in any state; `last_status` and `last_error` tell the result."""
        number = int(webhook)
        await self.commit(lambda tx: hooks.request_test(tx, number))
        self.answer({}, 202)


class WebhookRewind(AdminHandler):
    """The place of a webhook in the log."""

    @describe(
        "Rewind a webhook",
        {200: WebhookView},
        body=Place,
        errors=("cursor-expired",),
        example={"time": "2026-11-21T09:30:00Z"},
    )
    async def post(self, webhook: str) -> None:
        """Answer 200 with WEBHOOK, which now delivers what follows the cursor, or the time."""
        place, number = self.decode(Place), int(webhook)
        if (place.cursor is None) == (place.time is None):
            raise field_error("cursor", "must be there, or time must be, and not both")
        position = None if place.cursor is None else _position(self, "cursor", place.cursor)
        at_ms = None if place.time is None else self.time_ms("time", place.time)

        def rewind(tx: Transaction) -> WebhookView:
            if position is not None:
                hooks.rewind(tx, number, position)
            else:
                hooks.rewind_to_time(tx, number, at_ms or 0)
            return hooks.find(number)

        try:
            self.answer(await self.commit(rewind))
        except NotKeptError:
            raise _expired(self) from None
