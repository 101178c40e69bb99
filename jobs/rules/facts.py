"""The facts that the rules decide by, read for a whole slice of events with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from jobs.rules.payloads import CommentPayload, GroupJoinPayload, MessagePayload, NewUserPayload, ReactionPayload
from models.chat import presence
from models.chat.blocks import blockers_of, is_blocked_at
from models.log.event import Event
from models.notices import audience, preference, push_subscriptions
from models.notices.audience import Interval, Person
from models.notices.host_notices import Notice
from models.notices.levels import effective_level
from models.notices.preference import Choice
from models.store.database import engine

DecodedEvent = tuple[Event, Any]  # an event and its payload
OnlineUsers = Callable[[Collection[int]], Collection[int]]  # user ids -> those of them that are (or were) online


class Facts(NamedTuple):
    """The state of the store at `now_ms` by its own clock, as far as some events need it.

    `people` and `choices` are empty until `with_receivers` adds them: who may be notified is known only after the rules have run.
    """

    now_ms: int
    names: Mapping[int, str] = {}  # user -> display name, of those who caused the events
    members: Mapping[int, Sequence[Interval]] = {}  # conversation -> memberships
    conversations: Mapping[int, tuple[str, str | None]] = {}  # conversation -> its kind and title
    online: Collection[int] = frozenset()  # members with an open poll or stream
    post_authors: Mapping[int, int] = {}  # post -> author, of posts that are not deleted
    comment_authors: Mapping[int, int] = {}  # comment -> author, of comments that are not deleted
    people: Mapping[int, Person] = {}
    choices: Mapping[tuple[int, str], Choice] = {}  # (user, notification type) -> preference that differs from the default
    defaults: Mapping[str, Choice] = {}  # of types of the host's
    members_counts: Mapping[int, int] = {}  # conversation -> its members now
    blocks: Mapping[
        tuple[int, int], Sequence[tuple[int, int | None]]
    ] = {}  # (user, blocked) -> intervals of the log, of those who caused the events
    hidden_posts: Collection[tuple[int, int]] = frozenset()  # (user, post in a group that they have left)
    pushable: Collection[int] = frozenset()  # users with a push subscription

    def choice(self, user: int, notification_type: str) -> Choice:
        """Return a user's preference for a type of notification."""
        default = self.defaults.get(notification_type) or preference.default_choice(notification_type)
        return self.choices.get((user, notification_type), default)

    def level(self, conversation: int, member: Interval) -> str:
        """Return the level of a member: of which messages they are notified."""
        count = self.members_counts.get(conversation, 0)
        return effective_level(member.level, member.level_until_ms, self.now_ms, count)

    def is_blocked(self, user: int, by: int, event: int) -> bool:
        """Return whether a user blocked another at an event."""
        return is_blocked_at(self.blocks, user, by, event)


def gather_facts(
    events: Sequence[DecodedEvent],
    online: OnlineUsers = presence.online_now,
    among: Collection[int] | None = None,
    members: Mapping[int, Sequence[Interval]] | None = None,
) -> Facts:
    """Read all facts about these events, which are in log order, except those about receivers (see `with_receivers`). With
    `among`, no other members of the conversations are read than these users, and with `members` none."""
    messages = [payload for _, payload in events if isinstance(payload, MessagePayload)]
    comments = [payload for _, payload in events if isinstance(payload, CommentPayload)]
    conversations = {message.conversation for message in messages}
    if members is None:
        members = audience.membership_intervals(conversations, events[0][0].id, among) if messages else {}
    posts = {payload.post for _, payload in events if isinstance(payload, ReactionPayload | CommentPayload)}
    replied_to = {comment.reply_to for comment in comments if comment.reply_to is not None}
    actors = {user for _, payload in events for user in _actors(payload)}
    post_authors = audience.post_authors(posts)
    comment_authors = audience.comment_authors({comment.id for comment in comments} | replied_to)
    readers = {(author, post) for post, author in post_authors.items()}
    readers |= {(comment_authors[c.reply_to], c.post) for c in comments if c.reply_to in comment_authors}
    owners = {payload.group.owner for _, payload in events if isinstance(payload, GroupJoinPayload)}
    blockers = {member.user for member in chain.from_iterable(members.values())}
    blockers |= {*post_authors.values(), *comment_authors.values(), *owners}
    return Facts(
        engine().now_ms(),
        names=audience.display_names(actors),
        members=members,
        conversations=audience.titles(conversations),
        members_counts=audience.members_counts(conversations),
        online=online({member.user for member in chain.from_iterable(members.values()) if member.active}),
        post_authors=post_authors,
        comment_authors=comment_authors,
        hidden_posts=audience.hidden_posts(readers),
        blocks=blockers_of(actors, blockers, events[0][0].id) if blockers else {},
    )


def gather_unseen_facts(message: DecodedEvent, members: Sequence[Interval]) -> Facts:
    """Read the facts about one message for some members, without who is online: for them that was the reason to wait. A block from
    after the message counts, too."""
    event, payload = message
    conversation = payload.conversation
    return Facts(
        engine().now_ms(),
        names=audience.display_names([payload.sender]),
        members={conversation: members},
        conversations=audience.titles([conversation]),
        members_counts=audience.members_counts([conversation]),
        blocks={
            pair: [(begin if end is not None else 0, end) for begin, end in intervals]
            for pair, intervals in blockers_of([payload.sender], [member.user for member in members], event.id).items()
        },
    )


def gather_notice_facts(notice: Notice, users: Collection[int]) -> Facts:
    """Read the facts about a notification of the host's for some of its receivers."""
    actors = [] if notice.actor is None else [notice.actor]
    facts = Facts(engine().now_ms(), blocks=blockers_of(actors, users) if actors else {})
    return with_receivers(facts, users, [notice.type])


def with_receivers(facts: Facts, users: Collection[int], types: Collection[str] = ()) -> Facts:
    """Return the facts with the accounts and preferences of these users, and the defaults of the host's among `types`."""
    choices, defaults = preference.find_choices(users), preference.host_defaults(types)
    pushable = push_subscriptions.subscribed(users)
    return facts._replace(people=audience.people(users), choices=choices, defaults=defaults, pushable=pushable)


def _actors(payload: Any) -> Iterable[int]:
    """The users whose names the words of a notification may need."""
    match payload:
        case MessagePayload():
            return (payload.sender,)
        case ReactionPayload() | NewUserPayload():
            return (payload.user,)
        case CommentPayload():
            return (payload.author.id,)
        case GroupJoinPayload():
            return (payload.user.id,)
    return ()
