"""Deciding: what rules are made of, and what all of them have in common. Pure: an event and the facts about it in, decisions with
their reasons out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jobs.rules.facts import Facts
from models.log.event import Event
from models.notices.causes import Cause, Words
from models.notices.schedule import AT_ONCE, local_time, mail_due_ms

# What is decided, and why.
NOTIFIED = "notified"
OWN_ACT = "own act"
NO_MEMBER = "no member then"
NOT_ACTIVE = "not active"
HAS_READ = "has read it"
LOOKING = "was looking"
OFF = "off by preference"
DELETED = "deleted since"
AS_REPLY = "hears of it as a reply"
MAILED = "mailed"
UNSEEN_MS = 5 * 60_000  # an important message is mailed when it was not seen for so long


class Content(NamedTuple):
    """What there is to say of an event: who did it, what it is counted as, and the values for the words. `priority` decides of mail
    besides preferences."""

    by: int | None
    cause: str
    grouping: str
    data: bytes
    values: dict[str, str]
    priority: str = "normal"


Receivers = Iterable[tuple[int, str | None]]  # users who may hear, each with what keeps them from it, if anything does


class Rule(NamedTuple):
    """One kind of notification. `type` is what its receivers' preferences call it."""

    name: str
    event_type: str
    type: str
    words: Words
    content: Callable[[Any, Facts], Content]
    receivers: Callable[[Event, Any, Facts], Receivers]


class Decision(NamedTuple):
    """What becomes of one event for one user: shown or not and why, and when a mail is due (AT_ONCE, Unix ms, or never)."""

    user: int
    in_app: str
    email: str = ""
    mail_ms: int | None = None
    again: bool = False

    def reasons(self, timezone: str) -> list[str]:
        """In words."""
        if self.email == "":
            return [self.in_app]
        if self.mail_ms is None:
            return [self.in_app, f"mail: {OFF}"]
        if self.mail_ms == AT_ONCE:
            return [self.in_app, MAILED]
        at = local_time(self.mail_ms, timezone)
        return [self.in_app, f"waiting until {at}, to be mailed if unseen" if self.again else f"waiting for the digest of {at}"]


def apply_rule(rule: Rule, content: Content, event: Event, act: Any, facts: Facts) -> Iterator[Decision]:
    """What becomes of an event, by one rule, for each who may hear of it."""
    return (decide(rule.type, content, user, refusal, facts) for user, refusal in rule.receivers(event, act, facts))


def decide(kind: str, content: Content, user: int, refusal: str | None, facts: Facts) -> Decision:
    """The part that all rules share: nobody hears of their own acts, and everybody as they prefer."""
    if user == content.by:
        return Decision(user, OWN_ACT)
    if refusal is not None:
        return Decision(user, refusal)
    person = facts.people.get(user)
    if person is None or not person.active:
        return Decision(user, NOT_ACTIVE)
    choice = facts.choice(user, kind)
    mail_ms = mail_due_ms(choice.email, facts.now_ms, person.timezone)
    again = content.priority != "normal" and mail_ms is not None
    if again and content.priority == "urgent":
        mail_ms = AT_ONCE
    elif again and mail_ms != AT_ONCE:
        mail_ms = facts.now_ms + UNSEEN_MS
    return Decision(user, NOTIFIED if choice.in_app else OFF, choice.email, mail_ms, again)


def cause_of(rule: Rule, content: Content, decision: Decision) -> Cause | None:
    """What is to be written of a decision, if anything is."""
    in_app = decision.in_app is NOTIFIED
    if not in_app and decision.mail_ms is None:
        return None
    grouping, words, values = content.grouping, rule.words, content.values
    return Cause(
        *(decision.user, content.cause, grouping, rule.type, words, values, content.data, content.by),
        in_app=in_app,
        mail_ms=decision.mail_ms,
        again=decision.again,
    )
