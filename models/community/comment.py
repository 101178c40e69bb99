"""Comments on posts. All users who see a group's post see its comments; of a public one, those of people whom they may see."""

from __future__ import annotations

import msgspec
import peewee
from peewee import JOIN

from models.community.post import Post, PostOrigin, feed_stream, require_text, require_visible
from models.identity import contacts
from models.identity import user as users
from models.identity.contacts import Bound
from models.identity.user import VIEW_COLUMNS, User, UserView
from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import ID_MAX, Base, NeverReusedIdField, fetch_column, fetch_rows, rows
from models.store.errors import InvalidError


class Comment(Base):
    """One comment. `event` is the id of its `comment.created` event, the only one that carries its text."""

    id = NeverReusedIdField()
    post = peewee.ForeignKeyField(Post, index=False)
    author = peewee.ForeignKeyField(User)
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


def create(tx: Transaction, user: int, post: int, body: str, reply_to: int | None, caller: Bound | None = None) -> CommentView:
    """Comment on a post that the user may see, or reply to one of its comments. Raises InvalidError and NotFoundError."""
    origin = require_visible(user, post, caller)
    require_text(body)
    if reply_to is not None and not _is_shown(reply_to, post, origin, caller):
        raise InvalidError(("reply_to", "must be a comment of this post"))
    view = CommentView(tx.next_id("comments"), post, users.view(user), body, reply_to, rfc3339(tx.now_ms))
    event = tx.append(feed_stream(origin.group), "comment.created", msgspec.json.encode(view))
    Comment.insert(
        id=view.id, post=post, author=user, body=body, reply_to=reply_to, created_ms=tx.now_ms, event=event
    ).as_rowcount().execute()
    Post.update(comments_count=Post.comments_count + 1).where(Post.id == post).execute()
    return view


def _is_shown(comment: int, post: int, origin: PostOrigin, caller: Bound | None) -> bool:
    """Whether the caller sees a comment of a post that they see."""
    if not 0 < comment < ID_MAX:
        return False
    present = (Comment.id == comment) & (Comment.post == post) & Comment.deleted_ms.is_null()
    authors = fetch_column(Comment.select(Comment.author).where(present))
    return any(is_author_shown(author, origin, caller) for author in authors)


def is_author_shown(author: int, origin: PostOrigin, caller: Bound | None) -> bool:
    """Whether the comments of an author on a post are shown to a caller who sees the post."""
    return origin.group is not None or author in contacts.seen_among(caller, [author])


def find_comments(condition: peewee.Expression, limit: int | None = None) -> list[CommentView]:
    """Comments that are not deleted and match a condition, oldest first."""
    columns = (Comment.id, Comment.post, Comment.body, Comment.reply_to, Comment.created_ms)
    query = (
        Comment.select(*columns, *VIEW_COLUMNS)
        .join(User, JOIN.CROSS)  # keeps SQLite from beginning with the users
        .where(Comment.deleted_ms.is_null(), User.id == Comment.author, condition)
        .order_by(Comment.id)
        .limit(limit)
    )
    return [
        CommentView(id_, post, UserView(*author), body, reply_to, rfc3339(created_ms))
        for id_, post, body, reply_to, created_ms, *author in fetch_rows(query)
    ]


def list_page(user: int, post: int, after: int, limit: int, caller: Bound | None = None) -> list[CommentView]:
    """A post's comments that the caller may see, oldest first. Raises NotFoundError."""
    origin = require_visible(user, post, caller)
    if caller is None or origin.group is not None:
        return find_comments((Comment.post == post) & (Comment.id > after), limit)
    is_seen, caller_ids = contacts.seen("c.author_id", caller)
    # Raw: shares its condition with other lists.
    shown = f"SELECT c.id FROM comments c WHERE c.post_id=? AND c.id>? AND c.deleted_ms IS NULL{is_seen} ORDER BY c.id LIMIT ?"
    return find_comments(Comment.id.in_([number for (number,) in rows(shown, (post, after, *caller_ids, limit))]))
