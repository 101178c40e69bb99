"""Decisions: the parts that a rule has, and what becomes of a notification for one user.

Everything here is a pure function: an event and facts go in, decisions with their reasons come out. The rules are in rules.py, the
order of the checks in precedence.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jobs.rules.facts import Facts
from jobs.rules.precedence import BELOW_LEVEL, NOT_ACTIVE, NOTIFIED, OFF, WAS_ONLINE, Case, decisive_line, refused
from models.log.event import Event
from models.notices.audience import Person
from models.notices.causes import Cause, Wording, Words
from models.notices.preference import Choice
from models.notices.quiet import quiet_until_ms
from models.notices.schedule import AT_ONCE, local_time, mail_due_ms
from models.notices.unseen import DELAYS_MS

MAILED = "mailed"
QUIET = "quiet hours"
ACCOUNT = "account"  # the type that quiet hours do not delay


class Content(NamedTuple):
    """The content of a notification about one event, the same for all receivers.

    `by` is the user who caused the event, None when nobody did. `cause` names the event's cause, so that it is counted once for
    each receiver; unread notifications of one `grouping` are merged. `data` is JSON, `values` fill the rule's words. `message` is
    the id of the message that it is about, if it is. An `overdue` one has been unseen for as long as its priority allows. The
    cause of a `recorded` one may come after those of newer messages.
    """

    by: int | None
    cause: str
    grouping: str
    data: bytes
    values: dict[str, str]
    priority: str = "normal"
    message: int | None = None
    overdue: bool = False
    recorded: bool = False


Receivers = Iterable[Case]


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

    `outcome` is the decisive line of the precedence, `detail` more about it in words. `email` is the user's preference, empty when
    the outcome was decided before it mattered. `mail_ms` is when a mail is due: AT_ONCE, Unix ms, or None for never. `again`: it is
    sent even if the notification was there before, as that of an important message is. `quiet_ms` ends the quiet hours that it
    waits for, also when it would be due at once. `push_ms` is when it is pushed, AT_ONCE, the end of quiet hours, or None.
    """

    user: int
    outcome: str
    email: str = ""
    mail_ms: int | None = None
    again: bool = False
    detail: str = ""
    quiet_ms: int | None = None
    push_ms: int | None = None
    urgent: bool = False

    @property
    def in_app(self) -> bool:
        """Whether the notification is shown in the application."""
        return self.outcome == NOTIFIED

    def reasons(self, timezone: str) -> list[str]:
        """Return the outcome and what becomes of the mail, in words; times are the user's local time."""
        reasons = [self.outcome, self.detail] if self.detail else [self.outcome]
        return reasons if self.email == "" else [*reasons, self._mail_reason(timezone)]

    def _mail_reason(self, timezone: str) -> str:
        if self.mail_ms is None:
            return f"mail: {OFF}"
        if self.quiet_ms is not None:
            return f"waiting until {local_time(self.quiet_ms, timezone)}: {QUIET}"
        if self.mail_ms == AT_ONCE:
            return MAILED
        at = local_time(self.mail_ms, timezone)
        return f"waiting until {at}, to be mailed if unseen" if self.again else f"waiting for the digest of {at}"


def apply_rule(rule: Rule, content: Content, event: Event, payload: Any, facts: Facts) -> Iterator[Decision]:
    """Decide about an event, by one rule, for each of its receivers. `content` is what the rule makes of the event."""
    return (decide(rule.type, content, case, facts) for case in rule.receivers(event, payload, facts))


def is_refused(content: Content, case: Case) -> bool:
    """Return whether a user is refused before their account and preferences matter, which are not read for them then."""
    return refused(case._replace(own=case.user == content.by))


def decide(notification_type: str, content: Content, case: Case, facts: Facts) -> Decision:
    """Decide for one user: by the precedence whether they are notified, and by their preferences when they are mailed."""
    user = case.user
    person, choice = facts.people.get(user), facts.choice(user, notification_type)
    known = case._replace(own=user == content.by, active=case.active and (person is None or person.active), off=not choice.in_app)
    outcome = decisive_line(known).outcome
    if outcome not in (OFF, NOTIFIED):
        return Decision(user, outcome, detail=_detail(outcome, case, content, facts))
    if person is None:
        return Decision(user, NOT_ACTIVE)
    if notification_type == ACCOUNT:
        person = person._replace(quiet=None)
    mailed = _with_mail(Decision(user, outcome, choice.email), content, choice, person, facts.now_ms)
    return _with_push(mailed, content.priority, person, facts.now_ms) if choice.push and user in facts.pushable else mailed


def _detail(outcome: str, case: Case, content: Content, facts: Facts) -> str:
    if outcome == BELOW_LEVEL:
        return "level: none" if case.level == "none" else "level: mentions, and not mentioned"
    minutes = DELAYS_MS.get(content.priority, 0) // 60_000
    return f"notified after {minutes} min if unseen" if outcome == WAS_ONLINE and minutes else ""


def _with_mail(decision: Decision, content: Content, choice: Choice, person: Person, now_ms: int) -> Decision:
    """The decision with the time of its mail. Quiet hours move it to their end, except that of what is urgent."""
    mail_ms = mail_due_ms(choice.email, now_ms, person.timezone)
    if mail_ms is None:
        return decision
    again = content.priority != "normal"
    if content.priority == "urgent":
        return decision._replace(mail_ms=AT_ONCE, again=again)
    if again and mail_ms != AT_ONCE:
        mail_ms = AT_ONCE if content.overdue else now_ms + DELAYS_MS["important"]
    quiet_ms = quiet_until_ms(person.quiet, mail_ms or now_ms, person.timezone)
    if mail_ms != AT_ONCE and quiet_ms is not None:
        mail_ms = quiet_ms
    return decision._replace(mail_ms=mail_ms, again=again, quiet_ms=quiet_ms)


def _with_push(decision: Decision, priority: str, person: Person, now_ms: int) -> Decision:
    """The decision with the time of its push: at once, or at the end of quiet hours, which what is urgent does not wait for."""
    if priority == "urgent":
        return decision._replace(push_ms=AT_ONCE, urgent=True)
    return decision._replace(push_ms=quiet_until_ms(person.quiet, now_ms, person.timezone) or AT_ONCE)


def cause_of(rule: Rule, content: Content, decision: Decision) -> Cause | None:
    """Return what a decision writes, or None when it is neither shown, mailed nor pushed."""
    return cause_with(rule.type, rule.words, content, decision)


def cause_with(notification_type: str, words: Wording, content: Content, decision: Decision) -> Cause | None:
    """Like `cause_of`, for a notification without a rule: its type and words are parameters."""
    if not decision.in_app and decision.mail_ms is None and decision.push_ms is None:
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
        quiet_ms=decision.quiet_ms,
        push_ms=decision.push_ms,
        urgent=decision.urgent,
        message=content.message,
        recorded=content.overdue or content.recorded,
    )
