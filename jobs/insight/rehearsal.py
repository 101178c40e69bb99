"""The rules tried on the log that is kept: what they would decide, of whom, without writing or sending anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from jobs.rules.decisions import Rule, apply_rule
from jobs.rules.facts import DecodedEvent, gather_facts, with_receivers
from jobs.rules.payloads import payload_of
from jobs.rules.rules import BY_EVENT, RULES
from models.chat import presence
from models.log import event
from models.log.checkpoint import Part, read_unread
from models.log.event import Event

EVENTS_PER_SLICE = 200
TOGETHER_MS = 10_000  # whose receivers' being there is looked up for one moment
FIRST_PART = Part("", 0)

Show = Callable[[int, int], None]  # events read, and the newest there is

Decided = Counter[tuple[str, str, str]]  # (rule, what of the app, what of mail) -> users


def rehearse(rules: Sequence[Rule] = RULES, show: Show = lambda *_: None) -> Decided:
    """How often each of these rules decides what, over all events that are kept, by people's preferences of now and by who was
    looking then."""
    decided: Decided = Counter()
    types = [on for on in BY_EVENT if any(rule.event_type == on for rule in rules)]
    newest, position = event.head(), 0
    while position < newest:
        events, position = read_unread({FIRST_PART: position}, newest, types, EVENTS_PER_SLICE)
        for together in _close(events):
            _add(decided, [(one, payload_of(one)) for one in together], rules)
        show(position, newest)
    return decided


def _close(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events that happened within a moment."""
    part: list[Event] = []
    for one in events:
        if part and one.at_ms - part[0].at_ms > TOGETHER_MS:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _add(decided: Decided, happened: Sequence[DecodedEvent], rules: Sequence[Rule]) -> None:
    facts = gather_facts(happened, partial(presence.online_at, at_ms=happened[-1][0].at_ms))
    said = [(rule, rule.content(act, facts), one, act) for one, act in happened for rule in BY_EVENT[one.type] if rule in rules]
    hearers = {user for rule, _, one, act in said for user, refusal in rule.receivers(one, act, facts) if refusal is None}
    facts = with_receivers(facts, hearers)
    for rule, content, one, act in said:
        for decision in apply_rule(rule, content, one, act, facts):
            decided[rule.name, decision.in_app, decision.email or "–"] += 1
