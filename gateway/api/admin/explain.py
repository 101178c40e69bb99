"""Explaining why a user was notified of an event, or was not."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from gateway.api.admin.base import AdminHandler
from gateway.api.notifications import NotificationAnswer
from gateway.http.describe import IntParameter, TextParameter, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from jobs.insight.explain import explain
from models.identity.user import UserView
from models.notices import notification
from models.store.errors import ExpiredError

EVENT = TextParameter("event", "the cursor of an event", required=True)
USER = IntParameter("user", "the user who was notified of it, or was not", required=True)


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

    @describe("Explain the notifications of an event", {200: ExplanationAnswer}, query=(EVENT, USER), errors=("not-found",))
    async def get(self) -> None:
        """Answer 200 with `{"event","type","at","user","rules":[{"rule","type","decided":[…],"notification","mails":[…]}]}`."""
        cursor, user = self.query_text(EVENT), self.query_int(USER) or 0
        try:
            event_id = self.services.hub.position(cursor)
        except ValueError:
            raise field_error("event", "must be the cursor of an event") from None
        except ExpiredError:
            raise ProblemError("not-found", "the event is from before a restore") from None
        explanation = await self.read(explain, event_id, user)
        for rule in explanation["rules"]:
            if rule.get("notification") is not None:
                rule["notification"] = await self.read(notification.find, rule["notification"])
        self.answer({"event": cursor, **explanation})
