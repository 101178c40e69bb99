"""What one wants to hear of, and how; and the links in mails that end them."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from gateway.http.base import Handler
from gateway.http.describe import TextParameter, describe, one_of
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from jobs.mail import unsubscribe
from models.notices import preference
from models.notices.preference import EMAIL_FREQUENCIES, TYPES, Choice

OneClick = TypedDict("OneClick", {"List-Unsubscribe": str}, total=False)  # RFC 8058, section 3.1
SIGNED = TextParameter("t", "what the link in the mail says", required=True)


class PreferenceChange(msgspec.Struct, forbid_unknown_fields=True):
    """What changes of one type."""

    in_app: bool | None = None
    email: Annotated[str, one_of(EMAIL_FREQUENCIES)] | None = None


class PreferenceChanges(msgspec.Struct, forbid_unknown_fields=True):
    """The types that are named: fields, since of a key of a mapping the decoder does not say which one is wrong."""

    account: PreferenceChange | UnsetType = UNSET
    message: PreferenceChange | UnsetType = UNSET
    community: PreferenceChange | UnsetType = UNSET
    admin: PreferenceChange | UnsetType = UNSET
    system: PreferenceChange | UnsetType = UNSET

    def named(self) -> dict[str, PreferenceChange]:
        """Those that are."""
        choices = {notification_type: getattr(self, notification_type) for notification_type in TYPES}
        return {notification_type: choice for notification_type, choice in choices.items() if choice is not UNSET}


class PreferenceAnswer(TypedDict):
    """How somebody wants to hear of one type."""

    in_app: bool
    email: Annotated[str, one_of(EMAIL_FREQUENCIES)]


class PreferencesAnswer(TypedDict):
    """Of all types."""

    account: PreferenceAnswer
    message: PreferenceAnswer
    community: PreferenceAnswer
    admin: PreferenceAnswer
    system: PreferenceAnswer


EXAMPLE = {"message": {"email": "daily"}, "community": {"in_app": True, "email": "off"}}


class Preferences(Handler):
    """The caller's own."""

    @describe("What I hear of, and how", {200: PreferencesAnswer})
    async def get(self) -> None:
        """200 `{TYPE:{"in_app","email"}}`, all types."""
        found = await self.services.read(preference.all_choices, self.actor.user)
        self.answer({kind: choice._asdict() for kind, choice in found.items()})

    @describe("Choose what I hear of, and how", {200: PreferencesAnswer}, body=PreferenceChanges, example=EXAMPLE)
    async def put(self) -> None:
        """200, all types, with those named changed. Read again whenever something is to be sent."""
        changes, user = self.decode(PreferenceChanges).named(), self.actor.user
        await self.commit(lambda tx: preference.set_choices(tx, user, _merged(preference.all_choices(user), changes)))
        await self.get()


def _merged(now: dict[str, Choice], changes: dict[str, PreferenceChange]) -> dict[str, Choice]:
    """The types that are named, as they are to be."""
    return {
        kind: Choice(
            now[kind].in_app if new.in_app is None else new.in_app,
            now[kind].email if new.email is None else new.email,
        )
        for kind, new in changes.items()
    }


class Unsubscribe(Handler):
    """The link of a mail: who has it may end mails of its type, and nothing else (RFC 8058: no login, no cookie, no XSRF)."""

    access = "public"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-www-form-urlencoded", "multipart/form-data")

    @describe("See what a mail's link would stop", {200: "text/html"}, query=(SIGNED,))
    async def get(self) -> None:
        """200: a page with a button, for mail scanners follow every link."""
        _, kinds = self._signed()
        self._page(f"Stop e-mail about {' and '.join(kinds)}?", '<form method="post"><button>Stop these e-mails</button></form>')

    @describe("Stop a type of mail", {200: "text/html"}, body=OneClick, query=(SIGNED,), errors=("not-found",))
    async def post(self) -> None:
        """200: that type's e-mail is off."""
        user, kinds = self._signed()
        if not await self.services.committer.call(None, lambda tx: preference.unsubscribe(tx, user, kinds)):
            raise ProblemError("not-found")
        self._page(f"No more e-mail about {' and '.join(kinds)}", "You can change this in your preferences.")

    def _signed(self) -> tuple[int, list[str]]:
        found = unsubscribe.read(self.services.secret, self.query_text(SIGNED))
        if found is None:
            raise field_error("t", "a link from one of our mails, whole")
        user, kinds = found
        return user, kinds.split(",")

    def _page(self, title: str, body: str) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
        self.set_header("Referrer-Policy", "no-referrer")
        self.answer(PAGE.format(title=title, body=body).encode())


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<h1>{title}</h1>
<p>{body}</p>
</html>
"""
