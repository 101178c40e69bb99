"""Likes and bookmarks of posts. A second like by the same user changes nothing and appends no event; nor does a second bookmark."""

from __future__ import annotations

import msgspec
import peewee

from models.community.post import Post, PostOrigin, require_visible, visible
from models.identity.contacts import Bound
from models.identity.user import User
from models.log.event import Transaction, post_stream
from models.store.database import Base, affected_rows, rows


class Like(Base):
    """A user's like of a post."""

    post = peewee.ForeignKeyField(Post, index=False)
    user = peewee.ForeignKeyField(User)

    class Meta:
        table_name = "likes"
        primary_key = peewee.CompositeKey("post", "user")


class Bookmark(Base):
    """A user's bookmark of a post."""

    user = peewee.ForeignKeyField(User, index=False)
    post = peewee.ForeignKeyField(Post)

    class Meta:
        table_name = "bookmarks"
        primary_key = peewee.CompositeKey("user", "post")


def like(tx: Transaction, user: int, post: int, caller: Bound | None = None) -> int:
    """Like a post that the user may see; returns its number of likes. Raises NotFoundError."""
    if _mark("likes", user, post, caller):
        return _change_count(tx, "post.liked", user, post, 1)
    return _count_for(user, post, caller)


def unlike(tx: Transaction, user: int, post: int, caller: Bound | None = None) -> int:
    """Remove the user's like; returns the post's number of likes. Raises NotFoundError."""
    if _unmark("likes", user, post, caller):
        return _change_count(tx, "post.unliked", user, post, -1)
    return _count_for(user, post, caller)


def remove(tx: Transaction, user: int, post: int) -> bool:
    """Remove the like of a user who is being deleted, whether they may see the post or not; returns whether there was one."""
    removed = affected_rows("DELETE FROM likes WHERE post_id=? AND user_id=?", (post, user)) > 0
    if removed:
        _change_count(tx, "post.unliked", user, post, -1)
    return removed


def bookmark(tx: Transaction, user: int, post: int, caller: Bound | None = None) -> None:
    """Bookmark a post that the user may see. Raises NotFoundError."""
    is_new = _mark("bookmarks", user, post, caller)
    origin = require_visible(user, post, caller)
    if is_new:
        _append_event(tx, "post.bookmarked", user, post, origin)


def remove_bookmark(tx: Transaction, user: int, post: int, caller: Bound | None = None) -> None:
    """Remove the user's bookmark. No event reports it. Raises NotFoundError."""
    if not _unmark("bookmarks", user, post, caller):
        require_visible(user, post, caller)


def _mark(table: str, user: int, post: int, caller: Bound | None) -> int:
    """Insert the row, unless it exists or the user may not see the post; returns the number of rows inserted.

    It is one statement, so that a like takes no longer than a send.
    """
    condition, params = visible(user, caller)
    return affected_rows(
        f"INSERT INTO {table} (post_id, user_id) SELECT p.id, ? FROM posts p WHERE p.id=? AND {condition} ON CONFLICT DO NOTHING",
        (user, post, *params),
    )


def _unmark(table: str, user: int, post: int, caller: Bound | None) -> int:
    """Delete the row, unless the user may not see the post; returns the number of rows deleted."""
    condition, params = visible(user, caller)
    is_visible = f"EXISTS (SELECT 1 FROM posts p WHERE p.id={table}.post_id AND {condition})"
    return affected_rows(f"DELETE FROM {table} WHERE post_id=? AND user_id=? AND {is_visible}", (post, user, *params))


def _change_count(tx: Transaction, kind: str, user: int, post: int, change: int) -> int:
    """Change the post's number of likes, and append an event; returns the new number."""
    ((count, *origin),) = rows(
        "UPDATE posts SET likes_count=likes_count+? WHERE id=? RETURNING likes_count, author_id, group_id", (change, post)
    )
    _append_event(tx, kind, user, post, PostOrigin(*origin))
    return int(count)


def _count_for(user: int, post: int, caller: Bound | None) -> int:
    require_visible(user, post, caller)
    return int(rows("SELECT likes_count FROM posts WHERE id=?", (post,))[0][0])


def _append_event(tx: Transaction, kind: str, user: int, post: int, origin: PostOrigin) -> None:
    """Append an event to the post's stream, which only drains read: they decide which clients receive what."""
    data = {"post": post, "user": user, "author": origin.author, "group": origin.group}
    tx.append(post_stream(post), kind, msgspec.json.encode(data))
