"""Comments on posts, for those who see the post."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import peewee

from models.community.post import AUTHOR, Post, feed_stream, require_text, require_visible
from models.identity import user as users
from models.identity.user import User, UserView
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import ID_MAX, Base, NeverReusedIdField, execute, rows
from models.store.errors import InvalidError

COLUMNS = "c.id, c.post_id, c.body, c.reply_to, c.created_ms"


class Comment(Base):
    """One comment. `event` is the id of the event that announced it, the one besides its row that has its text."""

    id = NeverReusedIdField()
    post = peewee.ForeignKeyField(Post, index=False)
    author = peewee.ForeignKeyField(User, index=False)
    body = peewee.TextField()
    reply_to = peewee.BigIntegerField(null=True)
    created_ms = peewee.BigIntegerField()
    deleted_ms = peewee.BigIntegerField(null=True)
    event = peewee.BigIntegerField()

    class Meta:
        table_name = "comments"
        indexes = ((("post", "id"), False),)


class CommentView(msgspec.Struct, gc=False):
    """COMMENT of the contract."""

    id: int
    post: int
    author: UserView
    body: str
    reply_to: int | None
    created_at: str


def create(tx: Transaction, user: int, post: int, body: str, reply_to: int | None) -> CommentView:
    """Comments on a post that the user sees, or answers one of its comments. Raises InvalidError and NotFoundError."""
    place = require_visible(user, post)
    require_text(body)
    if reply_to is not None and not _exists(reply_to, post):
        raise InvalidError(("reply_to", "no comment of this post"))
    made = CommentView(tx.next_id("comments"), post, users.view(user), body, reply_to, rfc3339(tx.now_ms))
    event = tx.append(feed_stream(place.group), "comment.created", msgspec.json.encode(made))
    execute(
        "INSERT INTO comments (id, post_id, author_id, body, reply_to, created_ms, event) VALUES (?,?,?,?,?,?,?)",
        (made.id, post, user, body, reply_to, tx.now_ms, event),
    )
    execute("UPDATE posts SET comments_count=comments_count+1 WHERE id=?", (post,))
    return made


def _exists(comment: int, post: int) -> bool:
    sql = "SELECT 1 FROM comments WHERE id=? AND post_id=? AND deleted_ms IS NULL"
    return 0 < comment < ID_MAX and bool(rows(sql, (comment, post)))


def find_comments(condition: str, params: Sequence[Any]) -> list[CommentView]:
    """Comments `c` that are not deleted and of which an SQL condition holds."""
    found = rows(
        f"SELECT {COLUMNS}, {AUTHOR} FROM comments c CROSS JOIN users u "
        f"WHERE c.deleted_ms IS NULL AND u.id=c.author_id AND {condition}",
        params,
    )
    return [
        CommentView(i, post, UserView(*author), body, reply_to, rfc3339(made)) for i, post, body, reply_to, made, *author in found
    ]


def list_page(user: int, post: int, after: int, limit: int) -> list[CommentView]:
    """A post's comments as they are read: oldest first. Raises NotFoundError."""
    require_visible(user, post)
    return find_comments("c.post_id=? AND c.id>? ORDER BY c.id LIMIT ?", (post, after, limit))
