"""The host's notification types, as managed by admins. The host is the product that embeds this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from gateway.api.admin.base import AdminHandler
from gateway.http.describe import PAGED, Listed, chars, describe, many, one_of
from jobs.rules.host import DEFAULT_LOCALE, invalid_definition
from jobs.rules.templates import MAX_TEMPLATE_CHARS
from models.identity.user import LANGUAGE_TAG, LOCALE_CHARS
from models.notices import host_types
from models.notices.host_types import HOST, MAX_NAME_CHARS, NAME, Definition, HostTypeView, TypeWords
from models.notices.preference import EMAIL_FREQUENCIES, TYPES
from models.store.errors import InvalidError

MAX_LOCALES, MAX_WORDS_BYTES = 50, 128 * 1024
MAX_GROUP_BY, MAX_VALUE_NAME_CHARS = 10, 60


class NewDefinition(msgspec.Struct, forbid_unknown_fields=True):
    """The type to create or replace. Words and `url` are templates of Jinja2, in a sandbox, of the values of a call. Words also
    have `n`, the number of causes, and `others`, which is one less."""

    words: dict[str, TypeWords]
    group_by: Annotated[list[Annotated[str, chars(1, MAX_VALUE_NAME_CHARS)]], many(0, MAX_GROUP_BY)] | None = None
    in_app: bool = True
    email: Annotated[str, one_of(EMAIL_FREQUENCIES)] = "off"
    push: bool | None = None
    urgent: bool = False
    url: Annotated[str, chars(1, MAX_TEMPLATE_CHARS)] | None = None


EXAMPLE: dict[str, Any] = {
    "words": {
        "en": {"title": "Order {{ order }} left", "title_more": "{{ n }} orders left, the newest is {{ order }}"},
        "de": {"title": "Bestellung {{ order }} ist unterwegs"},
    },
    "group_by": ["customer"],
    "email": "hourly",
    "url": "https://shop.example.org/orders/{{ order }}",
}


class NamePosition(NamedTuple):
    """A position in a list that is sorted by name."""

    name: str


class NotificationTypes(AdminHandler):
    """All notification types of the host's."""

    @describe("List the host's notification types", {200: Listed[HostTypeView]}, query=PAGED)
    async def get(self) -> None:
        """Answer a list of TYPE, by name."""
        start, limit = self.query_page(NamePosition)

        async def read(position: NamePosition | None, count: int) -> Sequence[tuple[NamePosition, HostTypeView]]:
            views = await self.read(host_types.page, None if position is None else position.name, count)
            return [(NamePosition(view.type), view) for view in views]

        await self.answer_list(read, start, limit)


class NotificationType(AdminHandler):
    """A notification type of the host's."""

    @describe("Read a notification type", {200: HostTypeView})
    async def get(self, notification_type: str) -> None:
        """Answer 200 with TYPE."""
        self.answer(await self.read(host_types.view, notification_type))

    @describe(
        "Create or replace a notification type", {200: HostTypeView}, body=NewDefinition, example=EXAMPLE, errors=("conflict",)
    )
    async def put(self, notification_type: str) -> None:
        """Answer 200 with TYPE. The words are chosen by the receiver's locale: `de-AT`, else `de`, else `en`, which is needed.
        Without `group_by` and `title_more` each call is a notification of its own; without `group_by`, all calls of the type
        are one while unread. A template that can't be rendered is a 422 that names it and its line."""
        new = self.decode(NewDefinition)
        definition = Definition(**msgspec.structs.asdict(new))
        errors = _invalid(notification_type, definition) or await self.read(invalid_definition, definition)
        if errors:
            raise InvalidError(*errors)
        self.answer(await self.commit(lambda tx: host_types.put(tx, notification_type, definition)))

    @describe("Delete a notification type", {204: None})
    async def delete(self, notification_type: str) -> None:
        """Answer 204. Notifications that are there stay, as do users' preferences; what was requested and not delivered is not."""
        await self.commit(lambda tx: host_types.delete(tx, notification_type))
        self.answer(None, 204)


def _invalid(name: str, definition: Definition) -> list[tuple[str, str]]:
    errors = []
    if len(name) > MAX_NAME_CHARS or not NAME.fullmatch(name):
        errors.append(("type", f"must be a name such as order.shipped, of at most {MAX_NAME_CHARS} characters"))
    if name in (*TYPES, HOST):
        errors.append(("type", "must not be one of Bellwire's own"))
    if DEFAULT_LOCALE not in definition.words:
        errors.append(("words.en", "is required"))
    if len(definition.words) > MAX_LOCALES or len(msgspec.json.encode(definition.words)) > MAX_WORDS_BYTES:
        errors.append(("words", f"must have at most {MAX_LOCALES} languages and {MAX_WORDS_BYTES} bytes as JSON"))
    bad_tags = [tag for tag in definition.words if len(tag) > LOCALE_CHARS or not LANGUAGE_TAG.fullmatch(tag)]
    if bad_tags:
        errors.append(("words", f"{bad_tags[0][:LOCALE_CHARS]!r} is no language tag such as en or pt-BR"))
    return errors
