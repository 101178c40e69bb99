"""What the rules must know, gathered for a slice of events by a fixed few queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs.rules.payloads import CommentPayload, GroupJoinPayload, MessagePayload, NewUserPayload, ReactionPayload
from models.chat import presence
from models.log.event import Event
from models.notices import audience, preference
from models.notices.audience import Interval, Person
from models.notices.preference import Choice
from models.store.clock import now_ms

DecodedEvent = tuple[Event, Any]  # an event and what it says


class Facts(NamedTuple):
    """As of `now_ms`. `people` and `chosen` are there for those who may hear of something."""

    now_ms: int
    names: Mapping[int, str] = {}  # of who did something
    members: Mapping[int, Sequence[Interval]] = {}  # by conversation
    conversations: Mapping[int, tuple[str, str | None]] = {}  # conversation -> kind and title
    online: Collection[int] = frozenset()
    post_authors: Mapping[int, int] = {}  # of posts and comments that are not deleted
    comment_authors: Mapping[int, int] = {}
    people: Mapping[int, Person] = {}
    choices: Mapping[tuple[int, str], Choice] = {}

    def choice(self, user: int, kind: str) -> Choice:
        """What a user wants of a type of notification."""
        return self.choices.get((user, kind)) or preference.default_choice(kind)


def gather_facts(
    happened: Sequence[DecodedEvent], looking: Callable[[Collection[int]], Collection[int]] = presence.online_now
) -> Facts:
    """The facts about events in the log's order, but for those about receivers: see `with_receivers`."""
    sent = [act for _, act in happened if isinstance(act, MessagePayload)]
    comments = [act for _, act in happened if isinstance(act, CommentPayload)]
    conversations = {act.conversation for act in sent}
    members = audience.membership_intervals(conversations, happened[0][0].id) if sent else {}
    posts = {act.post for _, act in happened if isinstance(act, ReactionPayload | CommentPayload)}
    of_comments = {act.id for act in comments} | {act.reply_to for act in comments if act.reply_to is not None}
    return Facts(
        now_ms(),
        names=audience.display_names({user for _, act in happened for user in _actors(act)}),
        members=members,
        conversations=audience.titles(conversations),
        online=looking({member.user for those in members.values() for member in those if member.active}),
        post_authors=audience.authors("posts", posts),
        comment_authors=audience.authors("comments", of_comments),
    )


def with_receivers(facts: Facts, users: Collection[int]) -> Facts:
    """The same, with what there is to know about these users."""
    return facts._replace(people=audience.people(users), choices=preference.find_choices(users))


def _actors(act: Any) -> Iterable[int]:
    match act:
        case MessagePayload():
            return (act.sender,)
        case ReactionPayload() | NewUserPayload():
            return (act.user,)
        case CommentPayload():
            return (act.author.id,)
        case GroupJoinPayload():
            return (act.user.id,)
    return ()
