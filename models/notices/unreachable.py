"""Unread notifications that lead to what their owner can't open any more: a post or a comment was deleted, or they have left.

Nothing unread is to lead to a 404. A consumer marks these as read (jobs/consumers/unreachable.py). Raw SQL: the joins seek the
index of many users' unread notifications at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from models.community.comment import Comment
from models.community.post import Post
from models.log.event import Transaction
from models.notices import pushes
from models.notices.notification import MAIL_ONLY_PREFIX, mark_mail_only_read, mark_read
from models.store.database import chunks, fetch_column, fetch_rows, placeholders, rows, values_cte

ROWS_PER_READ = 200
OF_POSTS = ("like", "bookmark", "comments")  # begin the groupings of what a post's author is notified of
COMMENT_CAUSE = "comment:"

Key = tuple[int, str]  # user and grouping


class Unreachable(NamedTuple):
    """An unread notification. With `if_deleted` it is so only if all the comments that it counts are deleted."""

    id: int
    user: int
    mail_only: bool
    if_deleted: bool = False


def of_post(post: int, author: int) -> Iterator[Unreachable]:
    """Those about a post that was deleted, and about the answers to each comment on it."""
    yield from _unread([(author, f"{kind}:{post}") for kind in OF_POSTS])
    after = 0
    comments = Comment.select(Comment.id, Comment.author).where(Comment.post == post).order_by(Comment.id)
    while page := fetch_rows(comments.where(Comment.id > after).limit(ROWS_PER_READ)):
        yield from _unread([(user, f"replies:{comment}") for comment, user in page])
        after = page[-1][0]


def of_comment(post: int, reply_to: int | None) -> Iterator[Unreachable]:
    """Those that may count nothing but comments that were deleted, one of them on this post or as an answer to a comment."""
    keys = [(user, f"comments:{post}") for user in fetch_column(Post.select(Post.author).where(Post.id == post))]
    answered = Comment.select(Comment.author).where(Comment.id == reply_to)
    keys += [(user, f"replies:{reply_to}") for user in (fetch_column(answered) if reply_to is not None else ())]
    return (found._replace(if_deleted=True) for found in _unread(keys))


def of_group(user: int, group: int) -> Iterator[Unreachable]:
    """Those about posts in a group that a user has left."""
    for page in _pages(user, lambda grouping: not grouping.startswith("host:")):
        about = {number: post for number, _, data, _ in page if isinstance(post := data.get("post"), int)}
        query = Post.select(Post.id).where(Post.id.in_(sorted(set(about.values()))), Post.group == group)
        posts = set(fetch_column(query)) if about else set()
        if posts and _may_open("group_members", "group_id", group, user):
            return
        yield from (Unreachable(number, user, mail_only) for number, mail_only, *_ in page if about.get(number) in posts)


def of_conversation(user: int, conversation: int) -> Iterator[Unreachable]:
    """The host's about a conversation that a user has left. Those about its messages were marked by the transaction that removed
    them (models.chat.conversation)."""
    for page in _pages(user, lambda grouping: grouping.startswith("host:")):
        about = [row for row in page if row[2].get("conversation") == conversation and row[3] is None]
        if about and _may_open("memberships", "conversation_id", conversation, user):
            return
        yield from (Unreachable(number, user, mail_only) for number, mail_only, *_ in about)


def mark(tx: Transaction, found: Sequence[Unreachable]) -> int:
    """Mark these as read, with an event for each that is shown. Returns their number."""
    gone = [item for item in found if not (item.if_deleted and _counts_present_comment(item))]
    mail_only = [item.id for item in gone if item.mail_only]
    mark_mail_only_read(tx, mail_only)
    pushes.recall(tx, mail_only)
    by_user: dict[int, list[int]] = {}
    for item in gone:
        if not item.mail_only:
            by_user.setdefault(item.user, []).append(item.id)
    for user, ids in by_user.items():
        mark_read(tx, user, ids)
    return len(gone)


def _unread(keys: Iterable[Key]) -> Iterator[Unreachable]:
    """The unread notifications of these keys, shown and mail-only."""
    both = ((user, prefix + grouping) for user, grouping in keys for prefix in ("", MAIL_ONLY_PREFIX))
    for part in chunks(both, ROWS_PER_READ):
        found = rows(
            values_cte("member, grouping", len(part)) + "SELECT n.id, n.user_id, n.mail_only FROM input CROSS JOIN notifications n "
            "WHERE n.user_id=input.member AND n.grouping=input.grouping AND n.read_ms IS NULL",
            [value for key in part for value in key],
        )
        yield from (Unreachable(number, user, bool(mail_only)) for number, user, mail_only in found)


Row = tuple[int, bool, Mapping[str, Any], str | None]  # id, mail_only, data and url


def _pages(user: int, chosen: Callable[[str], bool]) -> Iterator[list[Row]]:
    """A user's unread notifications whose grouping is chosen, by id."""
    after = 0
    while found := rows(
        "SELECT id, mail_only, grouping, data, url FROM notifications WHERE user_id=? AND id>? AND read_ms IS NULL "
        f"ORDER BY id LIMIT {ROWS_PER_READ}",
        (user, after),
    ):
        after = found[-1][0]
        yield [
            (number, bool(mail_only), msgspec.json.decode(data), url)
            for number, mail_only, grouping, data, url in found
            if chosen(grouping.removeprefix(MAIL_ONLY_PREFIX))
        ]


def _may_open(table: str, column: str, number: int, user: int) -> bool:
    """Whether a user is a member again."""
    return bool(rows(f"SELECT 1 FROM {table} WHERE {column}=? AND user_id=? AND to_event IS NULL", (number, user)))


def _counts_present_comment(item: Unreachable) -> bool:
    causes = rows("SELECT cause FROM notification_causes WHERE user_id=? AND notification=?", (item.user, item.id))
    comments = [int(cause.removeprefix(COMMENT_CAUSE)) for (cause,) in causes if cause.startswith(COMMENT_CAUSE)]
    return any(
        rows(f"SELECT 1 FROM comments WHERE id IN ({placeholders(len(part))}) AND deleted_ms IS NULL LIMIT 1", part)
        for part in chunks(comments, ROWS_PER_READ)
    )
