"""Who hears of what: the rules are functions of an event and facts, and nothing else."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from jobs.rules import decisions
from jobs.rules.decisions import apply_rule, cause_of
from jobs.rules.facts import Facts
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.rules import BY_EVENT, RULES, WATCHES, count_watched
from models.identity.user import WATCHED
from models.log.event import Event
from models.notices.audience import Interval, Person
from models.notices.preference import TYPES, Choice
from models.notices.schedule import AT_ONCE

AT_MS = 1_790_000_000_000 - 1_790_000_000_000 % 3_600_000
ANA, BEN, EVE = 1, 2, 3
PEOPLE = {user: Person(name, True, "UTC") for user, name in ((ANA, "Ana"), (BEN, "Ben"), (EVE, "Eve"))}
FACTS = Facts(AT_MS, names={ANA: "Ana", BEN: "Ben", EVE: "Eve"}, people=PEOPLE)
IN_CHAT = FACTS._replace(
    conversations={1: ("direct", None)}, members={1: [Interval(ANA, True, 1, None, 0), Interval(BEN, True, 1, None, 0)]}
)


def event(kind: str, data: Mapping[str, Any], number: int = 100) -> Event:
    return Event(number, "stream", kind, AT_MS, msgspec.json.encode(data))


def message(priority: str = "normal", sender: int = ANA) -> Event:
    told = {"id": 50, "conversation": 1, "sender": sender, "priority": priority, "deleted_at": None}
    return event("message.created", told)


def decided(happened: Event, facts: Facts) -> dict[tuple[str, int], decisions.Decision]:
    """(rule, user) -> what is decided."""
    act = payload_of(happened)
    return {
        (rule.name, decision.user): decision
        for rule in BY_EVENT[happened.type]
        for decision in apply_rule(rule, rule.content(act, facts), happened, act, facts)
    }


@pytest.mark.parametrize(
    ("member", "looking", "decision"),
    [
        (Interval(BEN, True, 10, None, 0), False, decisions.NOTIFIED),
        (Interval(BEN, True, 100, None, 49), False, decisions.NOTIFIED),
        (Interval(ANA, True, 10, None, 0), False, decisions.OWN_ACT),
        (Interval(BEN, True, 101, None, 0), False, decisions.NO_MEMBER),
        (Interval(BEN, True, 10, 100, 0), False, decisions.NO_MEMBER),
        (Interval(BEN, True, 10, 101, 0), False, decisions.NOTIFIED),
        (Interval(BEN, False, 10, None, 0), False, decisions.NOT_ACTIVE),
        (Interval(BEN, True, 10, None, 50), False, decisions.HAS_READ),
        (Interval(BEN, True, 10, None, 0), True, decisions.LOOKING),
    ],
)
def test_who_hears_of_a_message_is_decided_by_place_in_the_log(member: Interval, looking: bool, decision: str) -> None:
    facts = IN_CHAT._replace(members={1: [member]}, online={BEN} if looking else set())
    assert decided(message(), facts)["message", member.user].in_app == decision


@pytest.mark.parametrize(
    ("email", "priority", "after_ms", "again"),
    [
        ("off", "normal", None, False),
        ("off", "urgent", None, False),
        ("instant", "normal", AT_ONCE, False),
        ("instant", "important", AT_ONCE, True),
        ("hourly", "normal", 3_600_000, False),
        ("hourly", "important", 300_000, True),
        ("hourly", "urgent", AT_ONCE, True),
        ("daily", "urgent", AT_ONCE, True),
    ],
)
def test_priority_and_preference_decide_of_mail(email: str, priority: str, after_ms: int | None, again: bool) -> None:
    facts = IN_CHAT._replace(choices={(BEN, "message"): Choice(True, email)})
    decision = decided(message(priority), facts)["message", BEN]
    due_ms = after_ms if after_ms in (None, AT_ONCE) else AT_MS + after_ms
    assert (decision.in_app, decision.mail_ms, decision.again) == (decisions.NOTIFIED, due_ms, again)


def test_what_is_off_in_app_may_still_be_mailed_and_what_is_off_altogether_is_not_written() -> None:
    (rule,) = BY_EVENT["message.created"]
    content = rule.content(payload_of(message()), IN_CHAT)
    for email, written in (("hourly", True), ("off", False)):
        decision = decided(message(), IN_CHAT._replace(choices={(BEN, "message"): Choice(False, email)}))["message", BEN]
        cause = cause_of(rule, content, decision)
        assert decision.in_app == decisions.OFF
        assert (cause is not None) == written
        if cause is not None:
            assert (cause.in_app, cause.grouping) == (False, "~conversation:1")


MARK = {"post": 7, "user": ANA, "author": BEN, "group": None}
LIKED = FACTS._replace(post_authors={7: BEN})


@pytest.mark.parametrize("kind", ["like", "bookmark"])
def test_a_mark_is_counted_once_a_person_and_post_and_never_told_to_oneself(kind: str) -> None:
    happened = event({"like": "post.liked", "bookmark": "post.bookmarked"}[kind], MARK)
    (rule,) = BY_EVENT[happened.type]
    content = rule.content(payload_of(happened), LIKED)
    assert (content.cause, content.grouping) == (f"{kind}:7:{ANA}", f"{kind}:7")
    assert decided(happened, LIKED)[kind, BEN].in_app == decisions.NOTIFIED
    assert decided(happened, LIKED._replace(post_authors={}))[kind, BEN].in_app == decisions.DELETED
    own = event(happened.type, {**MARK, "user": BEN})
    assert decided(own, LIKED)[kind, BEN].in_app == decisions.OWN_ACT


def comment(author: int, reply_to: int | None) -> Event:
    return event("comment.created", {"id": 9, "post": 7, "author": {"id": author}, "reply_to": reply_to})


def test_a_comment_is_told_to_the_posts_author_and_an_answer_to_the_comments() -> None:
    facts = FACTS._replace(post_authors={7: BEN}, comment_authors={8: ANA, 9: EVE})
    assert {k: d.in_app for k, d in decided(comment(EVE, None), facts).items()} == {("comment", BEN): decisions.NOTIFIED}
    assert {k: d.in_app for k, d in decided(comment(EVE, 8), facts).items()} == {
        ("comment", BEN): decisions.NOTIFIED,
        ("reply", ANA): decisions.NOTIFIED,
    }
    theirs = facts._replace(comment_authors={8: BEN, 9: EVE})
    assert {k: d.in_app for k, d in decided(comment(EVE, 8), theirs).items()} == {
        ("comment", BEN): decisions.AS_REPLY,
        ("reply", BEN): decisions.NOTIFIED,
    }
    gone = facts._replace(comment_authors={8: ANA})
    assert {d.in_app for d in decided(comment(EVE, 8), gone).values()} == {decisions.DELETED}


def test_a_join_is_told_to_the_groups_owner_but_not_their_own() -> None:
    joined = {"group": {"id": 4, "name": "Gardeners", "owner": BEN}, "user": {"id": ANA}}
    assert decided(event("group.joined", joined), FACTS)["join", BEN].in_app == decisions.NOTIFIED
    joined["user"] = {"id": BEN}
    assert decided(event("group.joined", joined), FACTS)["join", BEN].in_app == decisions.OWN_ACT


def test_who_is_suspended_hears_nothing() -> None:
    facts = LIKED._replace(people={BEN: Person("Ben", False, "UTC")})
    assert decided(event("post.liked", MARK), facts)["like", BEN].in_app == decisions.NOT_ACTIVE


@pytest.mark.parametrize(
    ("count", "title"),
    [(1, "{n} liked your post"), (2, "{n} and 1 other liked your post"), (5, "{n} and 4 others liked your post")],
)
def test_a_name_is_never_a_pattern(count: int, title: str) -> None:
    (rule,) = BY_EVENT["post.liked"]
    content = rule.content(payload_of(event("post.liked", MARK)), LIKED._replace(names={ANA: "{n}"}))
    assert rule.words.filled(count, content.values)[0] == title


@pytest.mark.parametrize(
    ("watches", "heard"),
    [("{}", 7), ('{"message.sent":true}', 7), ('{"message.sent":false}', 0), ('{"user.created":false}', 7)],
)
def test_what_is_missing_is_on_and_ones_own_acts_do_not_count(watches: str, heard: int) -> None:
    assert count_watched(1, watches, "message.sent", {1: 3, 2: 7}) == heard


def test_the_reasons_are_words() -> None:
    hourly, off = decided(message(), IN_CHAT)["message", BEN], IN_CHAT._replace(choices={(BEN, "message"): Choice(True, "off")})
    assert hourly.reasons("Asia/Kathmandu") == ["notified", "waiting for the digest of 20:45"]
    assert decided(message(), off)["message", BEN].reasons("UTC") == ["notified", "mail: off by preference"]
    assert decided(message("urgent"), IN_CHAT)["message", BEN].reasons("UTC") == ["notified", "mailed"]
    assert decided(message(sender=BEN), IN_CHAT)["message", BEN].reasons("UTC") == ["own act"]


def test_the_table_is_complete() -> None:
    assert {rule.type for rule in RULES} <= set(TYPES)
    assert set(WATCHES) == set(WATCHED)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert isinstance(payload_of(message()), MessagePayload)
