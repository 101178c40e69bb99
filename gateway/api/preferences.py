"""Notification preferences, and the unsubscribe links of mails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
from markupsafe import Markup
from msgspec import UNSET, UnsetType

from gateway.http.base import Handler
from gateway.http.describe import TextParameter, describe, one_of
from gateway.http.errors import ProblemError
from gateway.http.page import PageHandler
from gateway.http.request import field_error
from jobs.mail import unsubscribe
from jobs.mail.compose import type_name
from models.log.event import Transaction
from models.notices import preference
from models.notices.preference import EMAIL_FREQUENCIES, TYPES, Choice
from models.store.errors import InvalidError
from models.store.wrong_fields import UNKNOWN, wrong_field

OneClick = TypedDict("OneClick", {"List-Unsubscribe": str}, total=False)  # RFC 8058, section 3.1
SIGNED = TextParameter("t", "the signed text of the link in a mail", required=True)


class PreferenceChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of the preferences for one type. A field that is left out stays as it is."""

    in_app: bool | None = None
    email: Annotated[str, one_of(EMAIL_FREQUENCIES)] | None = None
    push: bool | None = None


class PreferenceChanges(msgspec.Struct):
    """Changes by notification type. Bellwire's own types are fields, because the decoder does not name a wrong key of a mapping;
    the host's types are further fields."""

    account: PreferenceChange | UnsetType = UNSET
    message: PreferenceChange | UnsetType = UNSET
    community: PreferenceChange | UnsetType = UNSET
    admin: PreferenceChange | UnsetType = UNSET
    system: PreferenceChange | UnsetType = UNSET

    def named(self) -> dict[str, PreferenceChange]:
        """The changes by own type, without the types that are left out."""
        choices = {notification_type: getattr(self, notification_type) for notification_type in TYPES}
        return {notification_type: choice for notification_type, choice in choices.items() if choice is not UNSET}


class PreferenceAnswer(TypedDict):
    """The preferences for one type: in the application, by e-mail, and by push."""

    in_app: bool
    email: Annotated[str, one_of(EMAIL_FREQUENCIES)]
    push: bool


class PreferencesAnswer(TypedDict):
    """The preferences for all types; those of the host's are further fields."""

    account: PreferenceAnswer
    message: PreferenceAnswer
    community: PreferenceAnswer
    admin: PreferenceAnswer
    system: PreferenceAnswer


EXAMPLE = {"message": {"email": "daily", "push": True}, "community": {"in_app": True, "email": "off"}}


class Preferences(Handler):
    """The caller's notification preferences."""

    @describe("Read my notification preferences", {200: PreferencesAnswer})
    async def get(self) -> None:
        """Answer 200 with `{TYPE:{"in_app","email","push"}}` for all types."""
        choices = await self.read(preference.all_choices, self.actor.user)
        self.answer({notification_type: choice._asdict() for notification_type, choice in choices.items()})

    @describe("Change my notification preferences", {200: PreferencesAnswer}, body=PreferenceChanges, example=EXAMPLE)
    async def put(self) -> None:
        """Answer 200 with the preferences for all types. They apply to notifications and mails that are not sent yet, too."""
        changes, user = self.decode(PreferenceChanges).named() | self._changes_of_host_types(), self.actor.user
        await self.commit(lambda tx: _change(tx, user, changes))
        await self.get()

    def _changes_of_host_types(self) -> dict[str, PreferenceChange]:
        """The changes of other types than Bellwire's own, which have been decoded. Raises InvalidError."""
        fields = msgspec.json.decode(self.request.body or b"{}", type=dict[str, Any])
        changes: dict[str, PreferenceChange] = {}
        for name, change in fields.items():
            try:
                if name not in TYPES:
                    changes[name] = msgspec.convert(change, PreferenceChange)
            except msgspec.ValidationError as error:
                inner, message = wrong_field(error)
                raise InvalidError((f"{name}.{inner}".rstrip("."), message)) from None
        return changes


def _change(tx: Transaction, user: int, changes: dict[str, PreferenceChange]) -> None:
    """Set what changes. Raises InvalidError for a type that does not exist."""
    known = {*TYPES, *preference.host_defaults(changes)}
    unknown = [(name, UNKNOWN) for name in changes if name not in known]
    if unknown:
        raise InvalidError(*unknown)
    preference.set_choices(tx, user, merged(preference.choices_of(user, changes), changes))


def merged(current: dict[str, Choice], changes: dict[str, PreferenceChange]) -> dict[str, Choice]:
    """The complete new preferences for each type that changes."""
    return {
        notification_type: Choice(
            current[notification_type].in_app if new.in_app is None else new.in_app,
            current[notification_type].email if new.email is None else new.email,
            current[notification_type].push if new.push is None else new.push,
        )
        for notification_type, new in changes.items()
    }


class Unsubscribe(PageHandler):
    """The unsubscribe link of a mail (RFC 8058): without a login it can stop mails of its type, and nothing else."""

    content_types: ClassVar[tuple[str, ...]] = ("application/x-www-form-urlencoded", "multipart/form-data")

    @describe("Show the page of an unsubscribe link", {200: "text/html"}, query=(SIGNED,))
    async def get(self) -> None:
        """Answer 200 with a page that has a button, because mail scanners follow every link."""
        _, types = self._signed()
        button = FORM.format(self.language.text("page.stop_button"))
        self.answer(self.page(self.language.text("page.stop"), [*self._names(types), button]))

    @describe("Unsubscribe from a type of mail", {200: "text/html"}, body=OneClick, query=(SIGNED,), errors=("not-found",))
    async def post(self) -> None:
        """Answer 200 with a page that says that mails of this type are off."""
        user, types = self._signed()
        if not await self.services.committer.call(None, lambda tx: preference.unsubscribe(tx, user, types)):
            raise ProblemError("not-found")
        following = self.language.html("page.preferences", url=self.link("#/settings"))
        self.answer(self.page(self.language.text("page.stopped"), [*self._names(types), following]))

    def _signed(self) -> tuple[int, list[str]]:
        link = unsubscribe.read(self.services.secret, self.query_text(SIGNED))
        if link is None:
            raise field_error("t", "must be the complete link of a mail")
        user, types = link
        return user, types.split(",")

    def _names(self, types: Sequence[str]) -> list[str]:
        """The names of types of notifications that people know them by."""
        return [type_name(self.language, type_) for type_ in types]


FORM = Markup('<form method="post"><button>{}</button></form>')
