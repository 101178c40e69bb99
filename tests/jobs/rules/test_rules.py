"""The rules are pure functions of an event and facts."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from jobs.rules import precedence
from jobs.rules.decisions import Decision, apply_rule, cause_of
from jobs.rules.facts import Facts
from jobs.rules.payloads import MessagePayload, payload_of
from jobs.rules.rules import BY_EVENT_TYPE, RULES
from jobs.rules.watches import WATCHES, count_for
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
    payload = {"id": 50, "conversation": 1, "sender": sender, "priority": priority, "deleted_at": None}
    return event("message.created", payload)


def decided(decided_event: Event, facts: Facts) -> dict[tuple[str, int], Decision]:
    """(rule, user) -> decision."""
    payload = payload_of(decided_event)
    return {
        (rule.name, decision.user): decision
        for rule in BY_EVENT_TYPE[decided_event.type]
        for decision in apply_rule(rule, rule.content(payload, facts), decided_event, payload, facts)
    }


@pytest.mark.parametrize(
    ("member", "online", "outcome"),
    [
        (Interval(BEN, True, 10, None, 0), False, precedence.NOTIFIED),
        (Interval(BEN, True, 100, None, 49), False, precedence.NOTIFIED),
        (Interval(ANA, True, 10, None, 0), False, precedence.OWN_ACT),
        (Interval(BEN, True, 101, None, 0), False, precedence.NOT_A_MEMBER),
        (Interval(BEN, True, 10, 100, 0), False, precedence.NOT_A_MEMBER),
        (Interval(BEN, True, 10, 101, 0), False, precedence.NOTIFIED),
        (Interval(BEN, False, 10, None, 0), False, precedence.NOT_ACTIVE),
        (Interval(BEN, True, 10, None, 50), False, precedence.HAS_READ),
        (Interval(BEN, True, 10, None, 0), True, precedence.WAS_ONLINE),
        (Interval(BEN, True, 10, None, 0, "none"), False, precedence.BELOW_LEVEL),
        (Interval(BEN, True, 10, None, 0, "mentions"), True, precedence.BELOW_LEVEL),
        (Interval(BEN, True, 10, None, 0, "none", AT_MS), False, precedence.NOTIFIED),
    ],
)
def test_members_at_the_messages_place_in_the_log_are_notified(member: Interval, online: bool, outcome: str) -> None:
    facts = IN_CHAT._replace(members={1: [member]}, online={BEN} if online else set(), members_counts={1: 2})
    assert decided(message(), facts)["message", member.user].outcome == outcome


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
    assert (decision.outcome, decision.mail_ms, decision.again) == (precedence.NOTIFIED, due_ms, again)


def test_a_notification_off_in_app_is_mailed_and_one_that_is_off_altogether_is_not_written() -> None:
    (rule,) = BY_EVENT_TYPE["message.created"]
    content = rule.content(payload_of(message()), IN_CHAT)
    for email, written in (("hourly", True), ("off", False)):
        decision = decided(message(), IN_CHAT._replace(choices={(BEN, "message"): Choice(False, email)}))["message", BEN]
        cause = cause_of(rule, content, decision)
        assert decision.outcome == precedence.OFF
        assert (cause is not None) == written
        if cause is not None:
            assert (cause.in_app, cause.grouping) == (False, "~conversation:1")


REACTION = {"post": 7, "user": ANA, "author": BEN, "group": None}
LIKED = FACTS._replace(post_authors={7: BEN})


@pytest.mark.parametrize("kind", ["like", "bookmark"])
def test_a_reaction_is_counted_once_per_person_and_post_and_never_notifies_oneself(kind: str) -> None:
    reacted = event({"like": "post.liked", "bookmark": "post.bookmarked"}[kind], REACTION)
    (rule,) = BY_EVENT_TYPE[reacted.type]
    content = rule.content(payload_of(reacted), LIKED)
    assert (content.cause, content.grouping) == (f"{kind}:7:{ANA}", f"{kind}:7")
    assert decided(reacted, LIKED)[kind, BEN].outcome == precedence.NOTIFIED
    assert decided(reacted, LIKED._replace(post_authors={}))[kind, BEN].outcome == precedence.DELETED
    own = event(reacted.type, {**REACTION, "user": BEN})
    assert decided(own, LIKED)[kind, BEN].outcome == precedence.OWN_ACT


def comment(author: int, reply_to: int | None) -> Event:
    return event("comment.created", {"id": 9, "post": 7, "author": {"id": author}, "reply_to": reply_to})


def test_a_comment_notifies_the_posts_author_and_a_reply_the_comments_author() -> None:
    facts = FACTS._replace(post_authors={7: BEN}, comment_authors={8: ANA, 9: EVE})
    assert {k: d.outcome for k, d in decided(comment(EVE, None), facts).items()} == {("comment", BEN): precedence.NOTIFIED}
    assert {k: d.outcome for k, d in decided(comment(EVE, 8), facts).items()} == {
        ("comment", BEN): precedence.NOTIFIED,
        ("reply", ANA): precedence.NOTIFIED,
    }
    theirs = facts._replace(comment_authors={8: BEN, 9: EVE})
    assert {k: d.outcome for k, d in decided(comment(EVE, 8), theirs).items()} == {
        ("comment", BEN): precedence.AS_REPLY,
        ("reply", BEN): precedence.NOTIFIED,
    }
    gone = facts._replace(comment_authors={8: ANA})
    assert {d.outcome for d in decided(comment(EVE, 8), gone).values()} == {precedence.DELETED}


def test_a_join_notifies_the_groups_owner_but_not_of_their_own() -> None:
    joined = {"group": {"id": 4, "name": "Gardeners", "owner": BEN}, "user": {"id": ANA}}
    assert decided(event("group.joined", joined), FACTS)["join", BEN].outcome == precedence.NOTIFIED
    joined["user"] = {"id": BEN}
    assert decided(event("group.joined", joined), FACTS)["join", BEN].outcome == precedence.OWN_ACT


def test_a_suspended_user_is_not_notified() -> None:
    facts = LIKED._replace(people={BEN: Person("Ben", False, "UTC")})
    assert decided(event("post.liked", REACTION), facts)["like", BEN].outcome == precedence.NOT_ACTIVE


@pytest.mark.parametrize(
    ("count", "title"),
    [(1, "{n} liked your post"), (2, "{n} and 1 other liked your post"), (5, "{n} and 4 others liked your post")],
)
def test_a_name_is_never_a_pattern(count: int, title: str) -> None:
    (rule,) = BY_EVENT_TYPE["post.liked"]
    content = rule.content(payload_of(event("post.liked", REACTION)), LIKED._replace(names={ANA: "{n}"}))
    assert rule.words.filled(count, content.values)[0] == title


@pytest.mark.parametrize(
    ("stored", "count"),
    [("{}", 7), ('{"message.sent":true}', 7), ('{"message.sent":false}', 0), ('{"user.created":false}', 7)],
)
def test_a_missing_watch_is_on_and_own_acts_do_not_count(stored: str, count: int) -> None:
    assert count_for(1, stored, "message.sent", {1: 3, 2: 7}) == count


def test_reasons_are_texts_with_local_times() -> None:
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


def test_the_document_has_the_precedence_as_the_code_has_it() -> None:
    document = precedence.DOCUMENT.read_text()
    assert precedence.written_into(document) == document, "run python -m jobs.rules.precedence"
