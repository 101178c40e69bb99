"""Rehearse the settings of one user on the newest events that concern them: what they would have received with those of now, and
with others. Nothing is written or sent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from jobs.insight.host_decisions import find_notice
from jobs.rules.decisions import Content, Decision, decide, is_refused
from jobs.rules.facts import DecodedEvent, Facts, gather_facts, with_receivers
from jobs.rules.host import content_of
from jobs.rules.payloads import payload_of
from jobs.rules.precedence import BELOW_LEVEL, NOTIFIED, OFF, Case
from jobs.rules.rules import BY_EVENT_TYPE
from models.chat import presence
from models.chat.presence import Visits
from models.log import event
from models.log.event import Event
from models.notices import host_types
from models.notices.host_notices import REQUESTED
from models.notices.preference import Choice
from models.notices.quiet import Quiet
from models.notices.schedule import AT_ONCE
from models.store.clock import rfc3339
from models.store.database import chunks, engine
from models.sync import concerning

PERIOD_MS = 14 * 24 * 3_600_000
MAX_EVENTS = 3_000  # the newest
EVENTS_PER_SLICE = 200
MAX_S = 1.5
TYPES = (*BY_EVENT_TYPE, REQUESTED)


class Settings(NamedTuple):
    """Settings that are tried in the place of a user's settings: quiet hours unless `keeps_quiet`, choices by type, and levels by
    conversation."""

    keeps_quiet: bool = True
    quiet: Quiet | None = None
    choices: Mapping[str, Choice] = {}
    levels: Mapping[int, str] = {}


class Counts(msgspec.Struct):
    """Numbers of what a user would have received. `notifications` is the number of events that their settings decide on: of these,
    so many are shown, `below_level`, or `off` in the application. `mails` and `pushes` are sent about them, of which the delayed
    ones wait for the end of quiet hours."""

    notifications: int = 0
    in_app: int = 0
    below_level: int = 0
    off: int = 0
    mails: int = 0
    delayed_mails: int = 0
    pushes: int = 0
    delayed_pushes: int = 0


class Rehearsed(msgspec.Struct):
    """The counts since a time, with the settings of `now` and with those that were tried. Not `complete`: there were more events
    than are read, and older ones are left out."""

    since: str
    complete: bool
    now: Counts
    tried: Counts


class _Tally:
    """Counts decisions. A mail or push of several of them is counted once."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._mails: dict[Any, bool] = {}  # key -> whether it waits for the end of quiet hours
        self._pushes: dict[Any, bool] = {}

    def add(self, decision: Decision, content: Content) -> None:
        self._outcomes[decision.outcome] += 1
        if decision.mail_ms is not None:
            key = _mail_key(decision, content)
            self._mails[key] = bool(self._mails.get(key)) or decision.quiet_ms is not None
        if decision.push_ms is not None:
            is_delayed = decision.push_ms != AT_ONCE
            self._pushes[(content.grouping, decision.push_ms) if is_delayed else content.cause] = is_delayed

    def counts(self) -> Counts:
        outcomes, mails, pushes = self._outcomes, self._mails, self._pushes
        return Counts(
            outcomes.total(),
            *(outcomes[NOTIFIED], outcomes[BELOW_LEVEL], outcomes[OFF]),
            *(len(mails), sum(mails.values()), len(pushes), sum(pushes.values())),
        )


def _mail_key(decision: Decision, content: Content) -> Any:
    """A digest is one mail at its time, and a mail of its own is one for each cause; but one for those of one subject that wait for
    the same end of quiet hours."""
    if decision.mail_ms != AT_ONCE and not decision.again:
        return decision.mail_ms
    return content.cause if decision.quiet_ms is None else (content.grouping, decision.quiet_ms)


def rehearse_own(user: int, tried: Settings, clock: Callable[[], float] = time.monotonic) -> Rehearsed:
    """Count for the newest events, until MAX_S have passed. What was read since counts as unread; presence is that of then."""
    deadline, since_ms = clock() + MAX_S, engine().now_ms() - PERIOD_MS
    ids = concerning.newest_ids(user, event.first_after(since_ms), MAX_EVENTS)
    visits = presence.visits(user, since_ms)
    now, other = _Tally(), _Tally()
    is_complete = len(ids) < MAX_EVENTS
    for part in chunks(ids, EVENTS_PER_SLICE):
        events = concerning.read(part, TYPES)
        for decision, another, content in _decisions(user, events, tried, visits):
            now.add(decision, content)
            other.add(another, content)
        if not is_complete and events:
            since_ms = events[0].at_ms
        if clock() > deadline:
            is_complete, since_ms = False, events[0].at_ms if events else since_ms
            break
    return Rehearsed(rfc3339(since_ms), is_complete, now.counts(), other.counts())


def _decisions(user: int, events: Sequence[Event], tried: Settings, visits: Visits) -> Iterator[tuple[Decision, Decision, Content]]:
    """Yield what is decided for a user with the settings of now and with others, and the content."""
    own = [(each, payload_of(each)) for each in events if each.type != REQUESTED]
    cases = [*_cases(user, own, visits), *_host_cases(user, [each for each in events if each.type == REQUESTED])]
    facts = with_receivers(Facts(0), [user], {found.type for found in cases})
    other = _with(facts, user, tried)
    for found in cases:
        level = tried.levels.get(found.conversation, found.case.level)
        another = found.case._replace(level=level)
        yield (
            decide(found.type, found.content, found.case, facts._replace(now_ms=found.at_ms)),
            decide(found.type, found.content, another, other._replace(now_ms=found.at_ms)),
            found.content,
        )


class _Found(NamedTuple):
    type: str
    content: Content
    case: Case
    at_ms: int
    conversation: int = 0


def _cases(user: int, events: Sequence[DecodedEvent], visits: Visits) -> Iterator[_Found]:
    if not events:
        return
    facts = gather_facts(events, lambda users: frozenset(), [user])
    members = {number: [each._replace(read=0) for each in found] for number, found in facts.members.items()}
    facts = facts._replace(members=members)
    for each, payload in events:
        facts = facts._replace(online={user} if visits.includes(each.at_ms) else frozenset(), now_ms=each.at_ms)
        for rule in BY_EVENT_TYPE[each.type]:
            content = rule.content(payload, facts)
            for case in rule.receivers(each, payload, facts):
                if case.user == user and not is_refused(content, case._replace(level="all")):
                    yield _Found(rule.type, content, case, each.at_ms, getattr(payload, "conversation", 0))


def _host_cases(user: int, events: Sequence[Event]) -> Iterator[_Found]:
    definitions: dict[str, Any] = {}
    for each in events:
        notice = find_notice(each)
        if notice is None:
            continue
        if notice.type not in definitions:
            definitions[notice.type] = host_types.find(notice.type)
        if definitions[notice.type] is not None:
            yield _Found(notice.type, content_of(notice, definitions[notice.type]), Case(user), each.at_ms)


def _with(facts: Facts, user: int, tried: Settings) -> Facts:
    """The facts with the settings that are tried."""
    people = dict(facts.people)
    if not tried.keeps_quiet and user in people:
        people[user] = people[user]._replace(quiet=tried.quiet)
    choices = {**facts.choices, **{(user, type_): choice for type_, choice in tried.choices.items()}}
    return facts._replace(people=people, choices=choices)
