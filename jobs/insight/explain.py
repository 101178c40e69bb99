"""Explain why a user was notified of an event, or was not: the rules are applied again and compared with what was written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from jobs.consumers.admin_watch import AdminWatchConsumer, count_acts
from jobs.consumers.notify import NotifyConsumer
from jobs.insight.host_decisions import TYPE_DELETED, decide_for, find_notice
from jobs.insight.origins import event_of_notification, owner_of
from jobs.rules import watches
from jobs.rules.decisions import Decision, Rule, apply_rule
from jobs.rules.facts import gather_facts, with_receivers
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.precedence import HAS_READ, NOTIFIED, OFF, OWN_ACT, WAS_ONLINE
from jobs.rules.rules import BY_EVENT_TYPE
from models.chat import presence
from models.identity import user as users
from models.log import checkpoint, event
from models.log.event import Event
from models.notices import bursts, host_notices, host_types, notifying, outbox, pending_mail
from models.notices.notifying import CauseNotification
from models.notices.schedule import AT_ONCE
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.errors import NotFoundError

MERGED = "merged"
ONLY_COUNTED = "only counted: too many by one person"
MAILED_BEFORE = "mail: went for the first of what is unread"
NOT_YET = "not processed yet"
LATER = "notified when it was still unseen"
OTHERWISE = "no notification was made: something was different then, or it is no longer kept"
COUNTED = "counted"
WATCH_OFF = "off by watch"
NOT_CONCERNED = "does not concern them"
MAX_MAILS = 200
OWN_MAIL_FIELDS = ("kind", "state", "queued_at", "ended_at")  # without the error, in which a mail server may name itself


def explain(number: int, user: int) -> dict[str, Any]:
    """Return what each rule decides of an event for a user, and the notification and mails that were made.

    The facts are those of now, except for who was online, which is known for the time of the event. Raises NotFoundError when the
    event or the user does not exist (any more).
    """
    explained = event.find(number)
    if explained is None:
        raise NotFoundError("no such event, or it is no longer kept")
    view = users.view(user)
    rules = _rules_of(explained, user)
    if view.role == "admin" and explained.type in AdminWatchConsumer.types:
        rules += list(_by_watches(explained, user))
    return {"type": explained.type, "at": rfc3339(explained.at_ms), "user": view, "rules": rules}


def explain_own(notification: int, user: int) -> dict[str, Any]:
    """Return what is to be known to its owner about a notification: the decisions of the rules that concern them, and its mails.

    There are no rules if none made it, or if its event is not found (see `event_of_notification`). Raises
    NotFoundError for a notification of somebody else.
    """
    if owner_of(notification) != user:
        raise NotFoundError
    records = _records(user, notification)
    mails = [{name: mail[name] for name in OWN_MAIL_FIELDS} for mail in records["mails"]]
    return {"rules": list(_own_rules(notification, user)), "mails": mails, "mail_due_at": records["mail_due_at"]}


def _own_rules(notification: int, user: int) -> Iterator[dict[str, Any]]:
    number = event_of_notification(notification)
    explained = event.find(number) if number is not None else None
    if explained is None:
        return
    for decided in _rules_of(explained, user):
        if decided["notification"] == notification:
            yield {name: decided[name] for name in ("rule", "type", "decided")}


def _rules_of(explained: Event, user: int) -> list[dict[str, Any]]:
    if explained.type == host_notices.REQUESTED:
        return _by_host(explained, user)
    return [_by_rule(rule, explained, user) for rule in BY_EVENT_TYPE.get(explained.type, ())]


def _by_host(explained: Event, user: int) -> list[dict[str, Any]]:
    """The decision about a notification of the host's, whose rule is its type; none when it is no longer kept."""
    notice = find_notice(explained)
    if notice is None:
        return []
    answer: dict[str, Any] = {"rule": notice.type, "type": notice.type}
    definition = host_types.find(notice.type)
    if definition is None:
        return [{**answer, "decided": [TYPE_DELETED], **_records(user, None)}]
    decision, content, facts = decide_for(notice, definition, user)
    if decision is None:
        return [{**answer, "decided": [NOT_CONCERNED], **_records(user, None)}]
    made = notifying.notification_of_cause(user, content.cause)
    timezone = facts.people[user].timezone if user in facts.people else "UTC"
    reasons = _reasons(decision, made, explained, timezone)
    return [{**answer, "decided": reasons, **_records(user, made.id if made is not None else None)}]


def _by_rule(rule: Rule, explained: Event, user: int) -> dict[str, Any]:
    payload = payload_of(explained)
    facts = gather_facts([(explained, payload)], partial(presence.online_at, at_ms=explained.at_ms), [user])
    facts = with_receivers(facts, [user])
    content = rule.content(payload, facts)
    decision = next((d for d in apply_rule(rule, content, explained, payload, facts) if d.user == user), None)
    answer: dict[str, Any] = {"rule": rule.name, "type": rule.type}
    if decision is None:
        reason = OWN_ACT if content.by == user else NOT_CONCERNED
        return {**answer, "decided": [reason], "notification": None, "mails": []}
    made = notifying.notification_of_cause(user, content.cause)
    if made is None and isinstance(payload, MessagePayload) and decision.outcome in (NOTIFIED, OFF, HAS_READ):
        made = notifying.notification_of_message(user, payload.conversation, payload.id)
    timezone = facts.people[user].timezone if user in facts.people else "UTC"
    reasons = _reasons(decision, made, explained, timezone)
    return {**answer, "decided": reasons, **_records(user, made.id if made is not None else None)}


def _reasons(decision: Decision, made: CauseNotification | None, explained: Event, timezone: str) -> list[str]:
    """The decision in words, corrected by what was made of it.

    A cause that was only counted has no mail, and one that was merged into an unread notification has no second mail at once. What
    was read since it was notified is not unread any more, which is no reason.
    """
    reasons = decision.reasons(timezone)
    if made is None:
        return [NOT_YET if _is_unread(explained) else OTHERWISE] if decision.in_app else reasons
    if made.only_counted:
        return [ONLY_COUNTED]
    if decision.outcome == WAS_ONLINE and decision.detail:
        return [WAS_ONLINE, LATER]
    if decision.outcome == HAS_READ:
        reasons = [NOTIFIED]  # it was read since
    if made.created_ms >= explained.at_ms:
        return reasons
    mailed_before = decision.mail_ms == AT_ONCE and not decision.again
    return [MERGED, MAILED_BEFORE] if mailed_before else [MERGED, *reasons[1:]]


def _is_unread(explained: Event) -> bool:
    """Whether the consumer may not have read the event yet, or some members of a large group, or receivers of the host's, are still
    to be notified."""
    if explained.type == host_notices.REQUESTED:
        return not host_notices.delivered([explained.id])
    positions = checkpoint.positions(NotifyConsumer().parts())
    return explained.id > min(positions.values(), default=0) or bursts.is_listed(explained.id)


def _records(user: int, notification: int | None) -> dict[str, Any]:
    if notification is None:
        return {"notification": None, "mails": []}
    due_ms = pending_mail.find_due_ms(notification)
    mails = outbox.list_about(user, notification, MAX_MAILS)
    return {"notification": notification, "mails": mails, "mail_due_at": rfc3339_or_none(due_ms)}


def _by_watches(explained: Event, admin: int) -> Iterator[dict[str, Any]]:
    stored = dict(users.active_admins()).get(admin)
    if stored is None:
        return
    for watch, count_by_user in count_acts([explained]).items():
        if watches.count_for(admin, stored, watch, count_by_user):
            reason = COUNTED
        else:
            reason = OWN_ACT if watches.is_on(stored, watch) else WATCH_OFF
        yield {"rule": f"watch {watch}", "type": "admin", "decided": [reason]}
