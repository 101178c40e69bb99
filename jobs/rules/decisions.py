"""Decisions: the parts that a rule has, and the checks that all rules share.

Everything here is a pure function: an event and facts go in, decisions with their reasons come out. The rules are in rules.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jobs.rules.facts import Facts
from models.log.event import Event
from models.notices.causes import Cause, Wording, Words
from models.notices.schedule import AT_ONCE, local_time, mail_due_ms

# Outcomes: notified, or the reason why not. `explain` and `rehearse` show them, so clients may depend on these texts.
NOTIFIED = "notified"
OWN_ACT = "own act"
NOT_A_MEMBER = "not a member then"
NOT_ACTIVE = "not active"
HAS_READ = "has read it"
WAS_ONLINE = "was looking"
OFF = "off by preference"
DELETED = "deleted since"
AS_REPLY = "notified as a reply"
MAILED = "mailed"
UNSEEN_MS = 5 * 60_000  # an important message that is unread for so long is mailed


class Content(NamedTuple):
    """The content of a notification about one event, the same for all receivers.

    `by` is the user who caused the event, None when nobody did. `cause` names the event's cause, so that it is counted once for
    each receiver; unread notifications of one `grouping` are merged. `data` is JSON, `values` fill the rule's words.
    """

    by: int | None
    cause: str
    grouping: str
    data: bytes
    values: dict[str, str]
    priority: str = "normal"


Receivers = Iterable[tuple[int, str | None]]  # (user, the reason not to notify them or None)


class Rule(NamedTuple):
    """One rule: events of `event_type` notify `receivers` with `content` in these words.

    `type` is the notification's type, by which users set their preferences.
    """

    name: str
    event_type: str
    type: str
    words: Words
    content: Callable[[Any, Facts], Content]  # of (payload, facts)
    receivers: Callable[[Event, Any, Facts], Receivers]  # of (event, payload, facts)


class Decision(NamedTuple):
    """The decision about one user and event.

    `outcome` is NOTIFIED or the reason why not. `email` is the user's preference, empty when the outcome was decided before it
    mattered. `mail_ms` is when a mail is due: AT_ONCE, Unix ms, or None for never. `again`: it is sent even if the notification
    was there before, as that of an important message is.
    """

    user: int
    outcome: str
    email: str = ""
    mail_ms: int | None = None
    again: bool = False

    @property
    def in_app(self) -> bool:
        """Whether the notification is shown in the application."""
        return self.outcome == NOTIFIED

    def reasons(self, timezone: str) -> list[str]:
        """Return the outcome and what becomes of the mail, in words; times are the user's local time."""
        if self.email == "":
            return [self.outcome]
        return [self.outcome, self._mail_reason(timezone)]

    def _mail_reason(self, timezone: str) -> str:
        if self.mail_ms is None:
            return f"mail: {OFF}"
        if self.mail_ms == AT_ONCE:
            return MAILED
        at = local_time(self.mail_ms, timezone)
        return f"waiting until {at}, to be mailed if unseen" if self.again else f"waiting for the digest of {at}"


def apply_rule(rule: Rule, content: Content, event: Event, payload: Any, facts: Facts) -> Iterator[Decision]:
    """Decide about an event, by one rule, for each of its receivers. `content` is what the rule makes of the event."""
    return (decide(rule.type, content, user, refusal, facts) for user, refusal in rule.receivers(event, payload, facts))


def decide(notification_type: str, content: Content, user: int, refusal: str | None, facts: Facts) -> Decision:
    """Decide for one user, by the checks that all rules share: own acts, the account's status, and preferences.

    `refusal` is the rule's own reason not to notify this user, if it has one.
    """
    if user == content.by:
        return Decision(user, OWN_ACT)
    if refusal is not None:
        return Decision(user, refusal)
    person = facts.people.get(user)
    if person is None or not person.active:
        return Decision(user, NOT_ACTIVE)
    choice = facts.choice(user, notification_type)
    mail_ms = mail_due_ms(choice.email, facts.now_ms, person.timezone)
    again = content.priority != "normal" and mail_ms is not None
    if again and content.priority == "urgent":
        mail_ms = AT_ONCE
    elif again and mail_ms != AT_ONCE:
        mail_ms = facts.now_ms + UNSEEN_MS
    return Decision(user, NOTIFIED if choice.in_app else OFF, choice.email, mail_ms, again)


def cause_of(rule: Rule, content: Content, decision: Decision) -> Cause | None:
    """Return what a decision writes, or None when it is neither shown nor mailed."""
    return cause_with(rule.type, rule.words, content, decision)


def cause_with(notification_type: str, words: Wording, content: Content, decision: Decision) -> Cause | None:
    """Like `cause_of`, for a notification without a rule: its type and words are parameters."""
    if not decision.in_app and decision.mail_ms is None:
        return None
    return Cause(
        user=decision.user,
        cause=content.cause,
        grouping=content.grouping,
        type=notification_type,
        words=words,
        values=content.values,
        data=content.data,
        by=content.by,
        in_app=decision.in_app,
        mail_ms=decision.mail_ms,
        again=decision.again,
    )
