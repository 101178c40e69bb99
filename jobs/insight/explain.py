"""Why somebody heard of an event, or did not: the rules asked again, and what was written then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from jobs.consumers.admin_watch import counts_of
from jobs.consumers.notify import NotifyConsumer
from jobs.rules.decisions import NOTIFIED, OWN_ACT, Decision, Rule, apply_rule
from jobs.rules.facts import gather_facts, with_receivers
from jobs.rules.payloads import DECODERS, payload_of
from jobs.rules.rules import BY_EVENT, WATCHES, count_watched
from models.chat import presence
from models.identity import user as users
from models.log import checkpoint, event
from models.log.event import Event
from models.notices import notifying, outbox, pending_mail
from models.notices.notifying import CauseNotification
from models.notices.schedule import AT_ONCE
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.errors import NotFoundError

MERGED = "merged"
ONLY_COUNTED = "only counted: too many by one person"
MAILED_BEFORE = "mail: went for the first of what is unread"
NOT_YET = "not looked at yet"
OTHERWISE = "no notification was made: something was different then, or it is no longer kept"
COUNTED = "counted"
NO_WATCH = "off by watch"
NOT_CONCERNED = "does not concern them"
MAILS = 200


def explain(number: int, user: int) -> dict[str, Any]:
    """What each rule decides of an event for a user, by the facts of now and by who was looking then; and what was made of it.

    Raises NotFoundError when there is no such event (any more) or user.
    """
    happened = event.find(number)
    if happened is None:
        raise NotFoundError("no such event, or it is no longer kept")
    view = users.view(user)
    rules = [_by_rule(rule, happened, user) for rule in BY_EVENT.get(happened.type, ())]
    if view.role == "admin" and happened.type in DECODERS:
        rules += list(_by_watches(happened, user))
    return {"type": happened.type, "at": rfc3339(happened.at_ms), "user": view, "rules": rules}


def _by_rule(rule: Rule, happened: Event, user: int) -> dict[str, Any]:
    act = payload_of(happened)
    facts = gather_facts([(happened, act)], partial(presence.online_at, at_ms=happened.at_ms))
    facts = with_receivers(facts, [user])
    content = rule.content(act, facts)
    decision = next((d for d in apply_rule(rule, content, happened, act, facts) if d.user == user), None)
    told: dict[str, Any] = {"rule": rule.name, "type": rule.type}
    if decision is None:
        own = content.by == user
        return {**told, "decided": [OWN_ACT if own else NOT_CONCERNED], "notification": None, "mails": []}
    made = notifying.notification_of_cause(user, content.cause)
    timezone = facts.people[user].timezone if user in facts.people else "UTC"
    decided = _in_words(decision, made, happened, timezone)
    return {**told, "decided": decided, **_records(user, made.id if made is not None else None)}


def _in_words(decision: Decision, made: CauseNotification | None, happened: Event, timezone: str) -> list[str]:
    """What was decided, in the light of what was made: what is only counted has no mail, and what grows no second one at once."""
    reasons = decision.reasons(timezone)
    if made is None:
        return [NOT_YET if _is_ahead(happened) else OTHERWISE] if decision.in_app is NOTIFIED else reasons
    if made.only_counted:
        return [ONLY_COUNTED]
    if made.created_ms >= happened.at_ms:
        return reasons
    first = decision.mail_ms == AT_ONCE and not decision.again
    return [MERGED, MAILED_BEFORE] if first else [MERGED, *reasons[1:]]


def _is_ahead(happened: Event) -> bool:
    places = checkpoint.positions(NotifyConsumer().parts())
    return happened.id > min(places.values(), default=0)


def _records(user: int, notification: int | None) -> dict[str, Any]:
    if notification is None:
        return {"notification": None, "mails": []}
    waits = pending_mail.find_due_ms(notification)
    return {
        "notification": notification,
        "mails": outbox.list_about(user, notification, MAILS),
        "mail_due_at": rfc3339_or_none(waits),
    }


def _by_watches(happened: Event, admin: int) -> Iterator[dict[str, Any]]:
    chosen = dict(users.active_admins()).get(admin)
    for watch, by in counts_of([happened]).items():
        if watch in WATCHES and chosen is not None:
            on = count_watched(-1, chosen, watch, by)
            counted = count_watched(admin, chosen, watch, by)
            yield {"rule": f"watch {watch}", "type": "admin", "decided": [COUNTED if counted else OWN_ACT if on else NO_WATCH]}
