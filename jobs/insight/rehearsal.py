"""Rehearse the rules on the events that are kept: count what they would decide, without writing or sending anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from jobs.insight.host_decisions import count_decisions
from jobs.rules.decisions import Rule, apply_rule, is_refused
from jobs.rules.facts import DecodedEvent, gather_facts, with_receivers
from jobs.rules.payloads import payload_of
from jobs.rules.rules import BY_EVENT_TYPE, RULES
from models.chat import presence
from models.log import event
from models.log.checkpoint import Part, read_unread
from models.log.event import Event
from models.notices.host_notices import REQUESTED

EVENTS_PER_SLICE = 200
MAX_SPAN_MS = 10_000  # of events whose members' presence is read for one moment
WHOLE_LOG = Part("", 0)

ShowProgress = Callable[[int, int], None]  # of (the event reached, the newest event)

Decided = Counter[tuple[str, str, str]]  # (rule, outcome in the application, e-mail preference) -> users


def rehearse(
    rules: Sequence[Rule] = RULES, show: ShowProgress = lambda *_: None, host_types: Sequence[str] | None = None
) -> Decided:
    """Count what each of these rules decides over all events that are kept, and what is decided about these types of the host's, or
    all of them. Types of the host's are named like rules.

    Preferences are those of now; who was online is known for the time of each event.
    """
    decided: Decided = Counter()
    types = [event_type for event_type in BY_EVENT_TYPE if any(rule.event_type == event_type for rule in rules)]
    types += [REQUESTED] if host_types != [] else []
    newest, position = event.head(), 0
    while position < newest:
        events, position = read_unread({WHOLE_LOG: position}, newest, types, EVENTS_PER_SLICE)
        decided += count_decisions([each for each in events if each.type == REQUESTED], host_types)
        for group in _groups_in_time([each for each in events if each.type != REQUESTED]):
            _count(decided, [(each, payload_of(each)) for each in group], rules)
        show(position, newest)
    return decided


def _groups_in_time(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Split events, in order, into groups that span at most MAX_SPAN_MS."""
    group: list[Event] = []
    for each in events:
        if group and each.at_ms - group[0].at_ms > MAX_SPAN_MS:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _count(decided: Decided, events: Sequence[DecodedEvent], rules: Sequence[Rule]) -> None:
    facts = gather_facts(events, partial(presence.online_at, at_ms=events[-1][0].at_ms))
    matches = [
        (rule, rule.content(payload, facts), each, payload)
        for each, payload in events
        for rule in BY_EVENT_TYPE[each.type]
        if rule in rules
    ]
    users = {
        case.user
        for rule, content, each, payload in matches
        for case in rule.receivers(each, payload, facts)
        if not is_refused(content, case)
    }
    facts = with_receivers(facts, users)
    for rule, content, each, payload in matches:
        for decision in apply_rule(rule, content, each, payload, facts):
            decided[rule.name, decision.outcome, decision.email or "–"] += 1
