"""Likes and bookmarks: what one person does to one post. Doing it twice changes nothing, and nothing is announced."""

from __future__ import annotations

import msgspec
import peewee

from models.community.post import VISIBLE, Post, PostOrigin, require_visible
from models.identity.user import User
from models.log.event import Transaction, post_stream
from models.store.database import Base, affected_rows, rows


class Like(Base):
    """One person likes one post."""

    post = peewee.ForeignKeyField(Post, index=False)
    user = peewee.ForeignKeyField(User, index=False)

    class Meta:
        table_name = "likes"
        primary_key = peewee.CompositeKey("post", "user")


class Bookmark(Base):
    """One person wants to find one post again."""

    user = peewee.ForeignKeyField(User, index=False)
    post = peewee.ForeignKeyField(Post, index=False)

    class Meta:
        table_name = "bookmarks"
        primary_key = peewee.CompositeKey("user", "post")


def like(tx: Transaction, user: int, post: int) -> int:
    """Likes a post that the user sees; returns how many do. Raises NotFoundError."""
    if _mark("likes", user, post):
        return _change_count(tx, "post.liked", user, post, 1)
    return _count_for(user, post)


def unlike(tx: Transaction, user: int, post: int) -> int:
    """Takes the like back; returns how many are left. Raises NotFoundError."""
    if _unmark("likes", user, post):
        return _change_count(tx, "post.unliked", user, post, -1)
    return _count_for(user, post)


def bookmark(tx: Transaction, user: int, post: int) -> None:
    """Bookmarks a post that the user sees. Raises NotFoundError."""
    new = _mark("bookmarks", user, post)
    place = require_visible(user, post)
    if new:
        _append_event(tx, "post.bookmarked", user, post, place)


def remove_bookmark(tx: Transaction, user: int, post: int) -> None:
    """Takes the bookmark back, which nobody hears of. Raises NotFoundError."""
    if not _unmark("bookmarks", user, post):
        require_visible(user, post)


def _mark(table: str, user: int, post: int) -> int:
    """Adds the row when it isn't there and the user sees the post: one statement, for a like is to take as long as a send."""
    return affected_rows(
        f"INSERT INTO {table} (post_id, user_id) SELECT p.id, ? FROM posts p WHERE p.id=? AND {VISIBLE} ON CONFLICT DO NOTHING",
        (user, post, user),
    )


def _unmark(table: str, user: int, post: int) -> int:
    seen = f"EXISTS (SELECT 1 FROM posts p WHERE p.id={table}.post_id AND {VISIBLE})"
    return affected_rows(f"DELETE FROM {table} WHERE post_id=? AND user_id=? AND {seen}", (post, user, user))


def _change_count(tx: Transaction, kind: str, user: int, post: int, change: int) -> int:
    """The count changes in the transaction that changes the rows."""
    ((count, *place),) = rows(
        "UPDATE posts SET likes_count=likes_count+? WHERE id=? RETURNING likes_count, author_id, group_id", (change, post)
    )
    _append_event(tx, kind, user, post, PostOrigin(*place))
    return int(count)


def _count_for(user: int, post: int) -> int:
    require_visible(user, post)
    return int(rows("SELECT likes_count FROM posts WHERE id=?", (post,))[0][0])


def _append_event(tx: Transaction, kind: str, user: int, post: int, place: PostOrigin) -> None:
    """For the drains: which clients hear of it, and when, is theirs to decide."""
    data = {"post": post, "user": user, "author": place.author, "group": place.group}
    tx.append(post_stream(post), kind, msgspec.json.encode(data))
