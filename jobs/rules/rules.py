"""Who hears of what, how and why: one table of rules, each a few pure functions of an event and the facts about it.

The drains act on what is decided (jobs/consumers/notify.py, jobs/consumers/admin_watch.py, jobs/consumers/announcements.py),
the API explains it (jobs/insight/explain.py), and
`run.py rehearse` tries it on the log that is kept. A new kind of notification is one entry of RULES, with its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from jobs.rules.decisions import AS_REPLY, DELETED, HAS_READ, LOOKING, NO_MEMBER, NOT_ACTIVE, Content, Receivers, Rule
from jobs.rules.facts import Facts
from jobs.rules.payloads import CommentPayload, GroupJoinPayload, MessagePayload, NewUserPayload, ReactionPayload
from models.log.event import Event
from models.notices.causes import Words
from models.notices.notification import conversation_grouping

# The rules' own parts: what there is to say of an event, and who may hear of it


def _of_message(act: MessagePayload, facts: Facts) -> Content:
    kind, title = facts.conversations[act.conversation]
    name = facts.names[act.sender]
    data = msgspec.json.encode({"conversation": act.conversation, "message": act.id})
    values = {"name": name, "title": name if kind == "direct" or not title else f"{name} in {title}"}
    return Content(act.sender, f"message:{act.id}", conversation_grouping(act.conversation), data, values, act.priority)


def _members(event: Event, act: MessagePayload, facts: Facts) -> Receivers:
    """Members at the message's place in the log, who have not read it and are not looking."""
    for member in facts.members.get(act.conversation, ()):
        if act.deleted_at is not None:
            refusal: str | None = DELETED
        elif event.id < member.from_event or (member.to_event is not None and event.id >= member.to_event):
            refusal = NO_MEMBER
        elif not member.active:
            refusal = NOT_ACTIVE
        elif member.read >= act.id:
            refusal = HAS_READ
        else:
            refusal = LOOKING if member.user in facts.online else None
        yield member.user, refusal


def _of_mark(kind: str) -> Callable[[ReactionPayload, Facts], Content]:
    def about(act: ReactionPayload, facts: Facts) -> Content:
        data = msgspec.json.encode({"post": act.post, "user": act.user})
        return Content(act.user, f"{kind}:{act.post}:{act.user}", f"{kind}:{act.post}", data, {"name": facts.names[act.user]})

    return about


def _marked_author(event: Event, act: ReactionPayload, facts: Facts) -> Receivers:
    yield act.author, None if act.post in facts.post_authors else DELETED


def _of_comment(group: Callable[[CommentPayload], str]) -> Callable[[CommentPayload, Facts], Content]:
    def about(act: CommentPayload, facts: Facts) -> Content:
        data = msgspec.json.encode({"post": act.post, "comment": act.id, "user": act.author.id})
        return Content(act.author.id, f"comment:{act.id}", group(act), data, {"name": facts.names[act.author.id]})

    return about


def _post_author(event: Event, act: CommentPayload, facts: Facts) -> Receivers:
    """Unless the comment answers one of theirs, of which they hear so."""
    author = facts.post_authors.get(act.post)
    if author is not None:
        replied_to = act.reply_to is not None and facts.comment_authors.get(act.reply_to) == author
        gone = DELETED if act.id not in facts.comment_authors else None
        yield author, gone or (AS_REPLY if replied_to else None)


def _comment_author(event: Event, act: CommentPayload, facts: Facts) -> Receivers:
    author = facts.comment_authors.get(act.reply_to) if act.reply_to is not None else None
    if author is not None:
        yield author, None if act.id in facts.comment_authors else DELETED


def _of_join(act: GroupJoinPayload, facts: Facts) -> Content:
    data = msgspec.json.encode({"group": act.group.id, "user": act.user.id})
    values = {"name": facts.names[act.user.id], "group": act.group.name}
    return Content(act.user.id, f"join:{act.group.id}:{act.user.id}", f"join:{act.group.id}", data, values)


def _of_newcomer(act: NewUserPayload, facts: Facts) -> Content:
    return Content(None, "welcome", "welcome", b"{}", {"name": facts.names.get(act.user, "")})


RULES = (
    Rule("message", "message.created", "message", Words("{title}", "1 new message", "", "{n} new messages"), _of_message, _members),
    Rule(
        "like",
        "post.liked",
        "community",
        Words("{name} liked your post", title_more="{name} and {others} liked your post"),
        _of_mark("like"),
        _marked_author,
    ),
    Rule(
        "bookmark",
        "post.bookmarked",
        "community",
        Words("{name} bookmarked your post", title_more="{name} and {others} bookmarked your post"),
        _of_mark("bookmark"),
        _marked_author,
    ),
    Rule(
        "comment",
        "comment.created",
        "community",
        Words("{name} commented on your post", title_more="{n} new comments on your post"),
        _of_comment(lambda act: f"comments:{act.post}"),
        _post_author,
    ),
    Rule(
        "reply",
        "comment.created",
        "community",
        Words("{name} answered your comment", title_more="{n} new answers to your comment"),
        _of_comment(lambda act: f"replies:{act.reply_to}"),
        _comment_author,
    ),
    Rule(
        "join",
        "group.joined",
        "community",
        Words("{name} joined {group}", title_more="{name} and {others} joined {group}"),
        _of_join,
        lambda event, act, facts: [(act.group.owner, None)],
    ),
    Rule(
        "welcome",
        "user.created",
        "system",
        Words("Welcome, {name}", "Find people by their names, write to one of them or make a group."),
        _of_newcomer,
        lambda event, act, facts: [(act.user, None)],
    ),
)
BY_EVENT = {on: tuple(rule for rule in RULES if rule.event_type == on) for on in dict.fromkeys(rule.event_type for rule in RULES)}

# What admins hear of, added up, unless they switch it off: by watch, what one and many are called.
WATCHES = {
    "message.sent": Words("1 message sent", title_more="{n} messages sent"),
    "user.created": Words("1 new user", title_more="{n} new users"),
    "user.status": Words("1 account changed", title_more="{n} accounts changed"),
    "user.activity": Words("1 activity", title_more="{n} activities"),
}


@lru_cache(maxsize=256)
def watches(chosen: str) -> Mapping[str, Any]:
    """What an admin chose to hear of, from its JSON: what is missing is on."""
    found: Mapping[str, Any] = msgspec.json.decode(chosen)
    return found


def count_watched(admin: int, chosen: str, watch: str, by: Mapping[int, int]) -> int:
    """How many of these acts the admin hears of: none if switched off, and never about one's own."""
    return sum(by.values()) - by.get(admin, 0) if watches(chosen).get(watch, True) else 0
