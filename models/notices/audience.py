"""Facts about many users, conversations, posts and comments at once, by a fixed number of queries. The drains decide from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

from models.community.comment import Comment
from models.community.post import Post
from models.identity.user import LOCALE, Profile, User
from models.notices.quiet import Quiet, decode
from models.store.database import chunks, fetch_rows, listed, placeholders, rows, values_cte

MAX_IDS_PER_QUERY = 500
# Whether a member (`m`) has not read a message (`y`) of the conversation: one that was imported only if they have marked it so.
UNREAD_SQL = (
    "y.id>coalesce(m.unread_after, m.read_message, 0) AND y.sender_id<>m.user_id AND y.deleted_ms IS NULL "
    "AND (y.event<>0 OR y.id<=m.unread_upto)"
)


class Interval(NamedTuple):
    """A membership: the user sees events with from_event <= id < to_event. `read` is the newest message they have read, or 0.
    `level` is the one that they have set, see models.notices.levels."""

    user: int
    active: bool
    from_event: int
    to_event: int | None
    read: int
    level: str | None = None
    level_until_ms: int | None = None


def membership_intervals(
    conversations: Collection[int], closed_after: int, among: Collection[int] | None = None
) -> dict[int, list[Interval]]:
    """conversation -> its memberships that are open or closed after an event id, in the order of joining. With `among`,
    only those of these users, in the order of their ids."""
    # Raw: the models of conversations are in models.chat, which imports this package.
    sql = """
        SELECT m.conversation_id, m.user_id, u.status, m.from_event, m.to_event, m.read_message, m.level, m.level_until_ms
        FROM memberships m JOIN users u ON u.id=m.user_id WHERE m.conversation_id IN ({})
        AND (m.to_event IS NULL OR m.to_event>?){} ORDER BY m.conversation_id, m.id"""
    parts: Iterable[Sequence[int]] = [()] if among is None else chunks(sorted(among), MAX_IDS_PER_QUERY)
    intervals: dict[int, list[Interval]] = {}
    for users, part in product(parts, chunks(sorted(conversations), MAX_IDS_PER_QUERY)):
        of_users = f" AND m.user_id IN ({placeholders(len(users))})" if users else ""
        found = rows(sql.format(placeholders(len(part)), of_users), (*part, closed_after, *users))
        for conversation, user, status, from_event, to_event, read, *level in found:
            interval = Interval(user, status == "active", from_event, to_event, read or 0, *level)
            intervals.setdefault(conversation, []).append(interval)
    return intervals


class Person(NamedTuple):
    """A user who may be notified."""

    name: str
    active: bool
    timezone: str
    locale: str = LOCALE
    quiet: Quiet | None = None


def people(users: Collection[int]) -> dict[int, Person]:
    """user -> Person, for those of the users who exist."""
    query = User.select(User.id, User.display_name, User.status, Profile.timezone, Profile.locale, Profile.quiet).join(
        Profile, on=Profile.user == User.id
    )
    persons: dict[int, Person] = {}
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        for user, name, status, timezone, locale, quiet in fetch_rows(query.where(User.id.in_(listed(part)))):
            persons[user] = Person(name, status == "active", timezone, locale, decode(quiet))
    return persons


def titles(conversations: Collection[int]) -> dict[int, tuple[str, str | None]]:
    """conversation -> its kind and title."""
    titles_by_id: dict[int, tuple[str, str | None]] = {}
    for part in chunks(sorted(conversations), MAX_IDS_PER_QUERY):
        # Raw: like `membership_intervals`.
        sql = f"SELECT id, kind, title FROM conversations WHERE id IN ({placeholders(len(part))})"
        titles_by_id |= {id_: (kind, title) for id_, kind, title in rows(sql, part)}
    return titles_by_id


def members_counts(conversations: Collection[int]) -> dict[int, int]:
    """conversation -> the number of its members."""
    counts: dict[int, int] = {}
    for part in chunks(sorted(conversations), MAX_IDS_PER_QUERY):
        # Raw: like `membership_intervals`.
        counts |= dict(rows(f"SELECT id, members_count FROM conversations WHERE id IN ({placeholders(len(part))})", part))
    return counts


def post_authors(posts: Collection[int]) -> dict[int, int]:
    """post -> its author, for posts that are not deleted."""
    query = Post.select(Post.id, Post.author).where(Post.deleted_ms.is_null())
    return dict(_by_id(query, Post, posts))


def hidden_posts(readers: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of (user, post) whose post is in a group that the user is not in."""
    hidden: set[tuple[int, int]] = set()
    for part in chunks(sorted(readers), MAX_IDS_PER_QUERY):
        # Raw: a join with many values; the order of the joins makes each row of `input` seek the index.
        sql = (
            values_cte("member, post", len(part)) + "SELECT input.member, input.post FROM input CROSS JOIN posts p "
            "WHERE p.id=input.post AND p.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM group_members m "
            "WHERE m.group_id=p.group_id AND m.user_id=input.member AND m.to_event IS NULL)"
        )
        hidden |= set(rows(sql, [value for pair in part for value in pair]))
    return hidden


def comment_authors(comments: Collection[int]) -> dict[int, int]:
    """comment -> its author, for comments that are not deleted."""
    query = Comment.select(Comment.id, Comment.author).where(Comment.deleted_ms.is_null())
    return dict(_by_id(query, Comment, comments))


def display_names(users: Collection[int]) -> dict[int, str]:
    """user -> display name."""
    return dict(_by_id(User.select(User.id, User.display_name), User, users))


def sites(users: Collection[int]) -> dict[int, str | None]:
    """user -> the site that the account belongs to, if any."""
    return dict(_by_id(User.select(User.id, User.site), User, users))


def _by_id(query: Any, model: Any, ids: Collection[int]) -> list[tuple[Any, ...]]:
    pairs: list[tuple[Any, ...]] = []
    for part in chunks(sorted(ids), MAX_IDS_PER_QUERY):
        pairs += fetch_rows(query.where(model.id.in_(listed(part))))
    return pairs
