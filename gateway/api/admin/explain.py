"""Explaining why a user was notified of an event, or was not."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from gateway.api.admin.base import AdminHandler
from gateway.api.notifications import NotificationAnswer
from gateway.http.describe import IntParameter, TextParameter, UserParameter, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from jobs.insight.explain import explain
from jobs.insight.origins import event_of_message, event_of_notification, owner_of
from models.identity.user import UserView
from models.notices import notification
from models.store.errors import ExpiredError

EVENT = TextParameter("event", "the cursor of an event")
MESSAGE = IntParameter("message", "a message, instead of the event that created it")
NOTIFICATION = IntParameter("notification", "a notification, instead of the newest event that it counts")
USER = UserParameter("user", "the user who was notified of it, or was not; for a notification its owner, if left out")


class ExplainedMailAnswer(TypedDict):
    """A mail about the event, and its state."""

    id: int
    kind: str
    state: str
    queued_at: str
    ended_at: str | None
    error: str | None


class RuleDecisionAnswer(TypedDict):
    """The decision of a rule, with the notification and the mails that followed from it."""

    rule: str
    type: str
    decided: list[str]
    notification: NotRequired[NotificationAnswer | None]
    mails: NotRequired[list[ExplainedMailAnswer]]
    mail_due_at: NotRequired[str | None]


class ExplanationAnswer(TypedDict):
    """The decisions of all rules for an event and a user."""

    event: str
    type: str
    at: str
    user: UserView
    rules: list[RuleDecisionAnswer]


class Explain(AdminHandler):
    """The decisions of all rules for an event and a user."""

    @describe(
        "Explain the notifications of an event",
        {200: ExplanationAnswer},
        query=(EVENT, MESSAGE, NOTIFICATION, USER),
        errors=("not-found",),
    )
    async def get(self) -> None:
        """Answer 200 with `{"event","type","at","user","rules":[{"rule","type","decided":[…],"notification","mails":[…]}]}`.
        Exactly one of `event`, `message` and `notification` says what is explained."""
        cursor, message, notice = self.query_text(EVENT), self.query_int(MESSAGE), self.query_int(NOTIFICATION)
        user = await self.query_user(USER)
        if sum((bool(cursor), message is not None, notice is not None)) != 1:
            raise field_error("event", "exactly one of event, message and notification must be set")
        if user is None:
            if notice is None:
                raise field_error("user", "must be the id of a user")
            user = await self.read(owner_of, notice)
        event_id = await self._event(cursor, message, notice)
        explanation = await self.read(explain, event_id, user)
        for rule in explanation["rules"]:
            if rule.get("notification") is not None:
                rule["notification"] = await self.read(notification.find, rule["notification"])
        self.answer({"event": self.services.hub.cursor(event_id), **explanation})

    async def _event(self, cursor: str, message: int | None, notice: int | None) -> int:
        """The id of the event that is explained."""
        if message is not None:
            return await self.read(event_of_message, message)
        if notice is not None:
            counted = await self.read(event_of_notification, notice)
            if counted is None:
                raise ProblemError("not-found", "the event behind this notification is no longer kept, or far back")
            return counted
        try:
            return self.services.hub.position(cursor)
        except ValueError:
            raise field_error("event", "must be the cursor of an event") from None
        except ExpiredError:
            raise ProblemError("not-found", "the event is from before a restore") from None
