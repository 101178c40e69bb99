"""The rules: which users are notified of which events, and in which words.

To add a rule, add an entry to RULES below: the type of its events, the notification's type and words, and two pure functions.
`content` says what a notification about the event contains, `receivers` yields a case for each user that it concerns. A new event
type needs its payload in payloads.py; a fact that no rule has used before is read in facts.py. Mail, preferences, merging,
`explain` and `rehearse` then work without further changes.

Which check decides is the same for all rules: precedence.py has their order, and a case is what is known of a user for them.
jobs/consumers/notify.py applies the rules to the log, jobs/insight/explain.py explains them, and `run.py rehearse` tries them on
the events that are kept.
"""

from __future__ import annotations

from functools import partial

import msgspec

from jobs.rules.decisions import Content, Receivers, Rule
from jobs.rules.facts import Facts
from jobs.rules.payloads import (
    REPORT_CLOSED,
    CommentPayload,
    GroupJoinPayload,
    MessagePayload,
    NewUserPayload,
    ReactionPayload,
    ReportClosedPayload,
)
from jobs.rules.precedence import Case
from models.log.event import Event
from models.notices import message_counts
from models.notices.audience import Interval
from models.notices.causes import Words
from models.notices.levels import MAX_MEMBERS_FOR_ALL
from models.notices.notification import conversation_grouping


def _message_content(message: MessagePayload, facts: Facts) -> Content:
    kind, title = facts.conversations[message.conversation]
    name = facts.names[message.sender]
    return Content(
        by=message.sender,
        cause=f"message:{message.id}",
        grouping=conversation_grouping(message.conversation),
        data=msgspec.json.encode({"conversation": message.conversation, "message": message.id}),
        values={"name": name, "title": message_counts.title_of(name, kind, title)},
        priority=message.priority,
        message=message.id,
    )


def _message_receivers(event: Event, message: MessagePayload, facts: Facts) -> Receivers:
    for member in facts.members.get(message.conversation, ()):
        yield message_case(event, message, member, facts)


def message_case(event: Event, message: MessagePayload, member: Interval, facts: Facts) -> Case:
    """Return what the precedence reads of a member. Membership is decided by the event's place in the log."""
    return Case(
        member.user,
        deleted=message.deleted_at is not None,
        member=member.from_event <= event.id and (member.to_event is None or event.id < member.to_event),
        active=member.active,
        has_read=member.read >= message.id,
        blocked=facts.is_blocked(member.user, message.sender, event.id),
        level=facts.level(message.conversation, member),
        mentioned=message.mentions_all or member.user in message.mentions,
        online=member.user in facts.online,
    )


def _mention_content(message: MessagePayload, facts: Facts) -> Content:
    return _message_content(message, facts)._replace(cause=f"mention:{message.id}", recorded=True)


def _mention_receivers(event: Event, message: MessagePayload, facts: Facts) -> Receivers:
    """The members whom an edit mentions and who were not mentioned before. In a large group those alone whom it names: an edit
    costs no more than that."""
    is_large = facts.members_counts.get(message.conversation, 0) > MAX_MEMBERS_FOR_ALL
    for member in facts.members.get(message.conversation, ()):
        if message.newly_mentions(member.user) and (not is_large or member.user in message.mentions_added):
            yield message_case(event, message, member, facts)


def _reaction_content(name: str, reaction: ReactionPayload, facts: Facts) -> Content:
    return Content(
        by=reaction.user,
        cause=f"{name}:{reaction.post}:{reaction.user}",
        grouping=f"{name}:{reaction.post}",
        data=msgspec.json.encode({"post": reaction.post, "user": reaction.user}),
        values={"name": facts.names[reaction.user]},
    )


def _reaction_receivers(event: Event, reaction: ReactionPayload, facts: Facts) -> Receivers:
    blocked = facts.is_blocked(reaction.author, reaction.user, event.id)
    member = (reaction.author, reaction.post) not in facts.hidden_posts
    yield Case(reaction.author, deleted=reaction.post not in facts.post_authors, member=member, blocked=blocked)


def _comment_content(comment: CommentPayload, facts: Facts) -> Content:
    return Content(
        by=comment.author.id,
        cause=f"comment:{comment.id}",
        grouping=f"comments:{comment.post}",
        data=msgspec.json.encode({"post": comment.post, "comment": comment.id, "user": comment.author.id}),
        values={"name": facts.names[comment.author.id]},
    )


def _comment_receivers(event: Event, comment: CommentPayload, facts: Facts) -> Receivers:
    """The post's author, except when the comment answers one of theirs: then the rule `reply` notifies them."""
    author = facts.post_authors.get(comment.post)
    if author is None:
        return
    yield _comment_case(event, comment, author, facts)._replace(as_reply=author == _replied_to(comment, facts))


def _comment_case(event: Event, comment: CommentPayload, user: int, facts: Facts) -> Case:
    blocked = facts.is_blocked(user, comment.author.id, event.id)
    member = (user, comment.post) not in facts.hidden_posts
    return Case(user, deleted=comment.id not in facts.comment_authors, member=member, blocked=blocked)


def _reply_content(comment: CommentPayload, facts: Facts) -> Content:
    return _comment_content(comment, facts)._replace(grouping=f"replies:{comment.reply_to}")


def _reply_receivers(event: Event, comment: CommentPayload, facts: Facts) -> Receivers:
    author = _replied_to(comment, facts)
    if author is not None:
        yield _comment_case(event, comment, author, facts)


def _replied_to(comment: CommentPayload, facts: Facts) -> int | None:
    """The author of the comment that this one answers, unless that is deleted."""
    return None if comment.reply_to is None else facts.comment_authors.get(comment.reply_to)


def _join_content(join: GroupJoinPayload, facts: Facts) -> Content:
    return Content(
        by=join.user.id,
        cause=f"join:{join.group.id}:{join.user.id}",
        grouping=f"join:{join.group.id}",
        data=msgspec.json.encode({"group": join.group.id, "user": join.user.id}),
        values={"name": facts.names[join.user.id], "group": join.group.name},
    )


def _join_receivers(event: Event, join: GroupJoinPayload, facts: Facts) -> Receivers:
    yield Case(join.group.owner, blocked=facts.is_blocked(join.group.owner, join.user.id, event.id))


def _welcome_content(new: NewUserPayload, facts: Facts) -> Content:
    return Content(by=None, cause="welcome", grouping="welcome", data=b"{}", values={"name": facts.names.get(new.user, "")})


def _welcome_receivers(event: Event, new: NewUserPayload, facts: Facts) -> Receivers:
    yield Case(new.user)


def _report_content(closed: ReportClosedPayload, facts: Facts) -> Content:
    data = msgspec.json.encode({"report": closed.report, "action": closed.action})
    return Content(by=None, cause=f"report:{closed.report}", grouping=f"report:{closed.report}", data=data, values={})


def _report_receivers(action: str, event: Event, closed: ReportClosedPayload, facts: Facts) -> Receivers:
    """The reporters, who are not told more than what was done."""
    if closed.action == action:
        yield from map(Case, closed.reporters)


def _report_rule(action: str, title: str) -> Rule:
    receivers = partial(_report_receivers, action)
    return Rule(f"report_{action}", REPORT_CLOSED, "system", Words(title), _report_content, receivers)


MESSAGE = Rule(
    name="message",
    event_type="message.created",
    type="message",
    words=Words("{title}", message_counts.ONE, "", message_counts.MORE),
    content=_message_content,
    receivers=_message_receivers,
)

RULES = (
    MESSAGE,
    Rule(
        name="mention",
        event_type="message.updated",
        type="message",
        words=MESSAGE.words,
        content=_mention_content,
        receivers=_mention_receivers,
    ),
    Rule(
        name="like",
        event_type="post.liked",
        type="community",
        words=Words("{name} liked your post", title_more="{name} and {others} liked your post"),
        content=partial(_reaction_content, "like"),
        receivers=_reaction_receivers,
    ),
    Rule(
        name="bookmark",
        event_type="post.bookmarked",
        type="community",
        words=Words("{name} bookmarked your post", title_more="{name} and {others} bookmarked your post"),
        content=partial(_reaction_content, "bookmark"),
        receivers=_reaction_receivers,
    ),
    Rule(
        name="comment",
        event_type="comment.created",
        type="community",
        words=Words("{name} commented on your post", title_more="{n} new comments on your post"),
        content=_comment_content,
        receivers=_comment_receivers,
    ),
    Rule(
        name="reply",
        event_type="comment.created",
        type="community",
        words=Words("{name} answered your comment", title_more="{n} new answers to your comment"),
        content=_reply_content,
        receivers=_reply_receivers,
    ),
    Rule(
        name="join",
        event_type="group.joined",
        type="community",
        words=Words("{name} joined {group}", title_more="{name} and {others} joined {group}"),
        content=_join_content,
        receivers=_join_receivers,
    ),
    Rule(
        name="welcome",
        event_type="user.created",
        type="system",
        words=Words("Welcome, {name}", "Find people by their names, write to one of them or make a group."),
        content=_welcome_content,
        receivers=_welcome_receivers,
    ),
    _report_rule("dismiss", "Your report was reviewed, and nothing else was done"),
    _report_rule("delete", "Your report was reviewed, and what you reported was deleted"),
    _report_rule("suspend", "Your report was reviewed, and the account was suspended"),
)

BY_EVENT_TYPE = {
    event_type: tuple(rule for rule in RULES if rule.event_type == event_type)
    for event_type in dict.fromkeys(rule.event_type for rule in RULES)
}
