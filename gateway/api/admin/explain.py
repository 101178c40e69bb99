"""Why somebody heard of something, or did not."""

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
USER = IntParameter("user", "who heard of it, or did not", required=True)


class ExplainedMailAnswer(TypedDict):
    """A mail about it, and what became of it."""

    id: int
    kind: str
    state: str
    queued_at: str
    ended_at: str | None
    error: str | None


class RuleDecisionAnswer(TypedDict):
    """What a rule decided, and what was made of it."""

    rule: str
    type: str
    decided: list[str]
    notification: NotRequired[NotificationAnswer | None]
    mails: NotRequired[list[ExplainedMailAnswer]]
    mail_due_at: NotRequired[str | None]


class ExplanationAnswer(TypedDict):
    """Each rule that looked at the event."""

    event: str
    type: str
    at: str
    user: UserView
    rules: list[RuleDecisionAnswer]


class Explain(AdminHandler):
    """GET: each rule that looked at an event, and what it decided for a user."""

    @describe("Explain who heard of an event", {200: ExplanationAnswer}, query=(EVENT, USER), errors=("not-found",))
    async def get(self) -> None:
        """200 `{"event","type","at","user","rules":[{"rule","type","decided":[…],"notification","mails":[…]}]}`."""
        cursor, user = self.query_text(EVENT), self.query_int(USER) or 0
        try:
            number = self.services.hub.position(cursor)
        except ValueError:
            raise field_error("event", "the cursor of an event") from None
        except ExpiredError:
            raise ProblemError("not-found", "the event is of before a restore") from None
        found = await self.services.read(explain, number, user)
        for rule in found["rules"]:
            if rule.get("notification") is not None:
                rule["notification"] = await self.services.read(notification.find, rule["notification"])
        self.answer({"event": cursor, **found})
