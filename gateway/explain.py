"""Why somebody heard of something, or did not."""

from __future__ import annotations

from gateway.admin import AdminHandler
from gateway.asked import field_error
from gateway.base import ID_MAX
from gateway.errors import ProblemError
from gateway.hub import ExpiredError
from jobs.explain import explain
from models import notification


class Explain(AdminHandler):
    """GET: `?event=CURSOR&user=ID`."""

    async def get(self) -> None:
        """200 `{"event","type","at","user","rules":[{"rule","type","decided":[…],"notification","mails":[…]}]}`."""
        cursor, user = self.text("event"), self.number("user", 1, ID_MAX)
        if user is None:
            raise field_error("user", "the id of a user")
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
