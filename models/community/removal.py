"""Deleting posts and comments: the transaction that appends the event also removes their texts from the rows and from the log."""

from __future__ import annotations

import msgspec
import peewee

from models.community import post as posts
from models.community.comment import Comment, CommentView, find_comments, is_author_shown
from models.community.post import Post, PostCopy, PostOrigin, feed_stream, require_visible
from models.files import file as files
from models.identity.contacts import Bound
from models.log.event import Transaction
from models.store.database import fetch_column, fetch_rows
from models.store.errors import ForbiddenError, NotFoundError


def _get_origin(user: int, role: str, post: int, caller: Bound | None) -> PostOrigin:
    """The origin of a post that the caller may see; an admin may delete every post. Raises NotFoundError."""
    return posts.get_origin(post) if role == "admin" else require_visible(user, post, caller)


def delete_post(tx: Transaction, user: int, role: str, post: int, caller: Bound | None = None) -> None:
    """Delete the user's own post (an admin any), with the texts of its comments. Raises ForbiddenError and NotFoundError."""
    origin = _get_origin(user, role, post, caller)
    if role != "admin" and origin.author != user:
        raise ForbiddenError("only its author or an admin may delete a post")
    view = posts.event_views([post])[0]
    files.remove(tx, [file.id for file in view.files])
    data = msgspec.json.encode(msgspec.structs.replace(view, body="", files=[]))
    created = Post.select(Post.event).where(Post.id == post)
    events = fetch_column(created | PostCopy.select(PostCopy.event).where(PostCopy.post == post))
    Post.update(body="", files=None, deleted_ms=tx.now_ms).where(Post.id == post).execute()
    tx.scrub(events, data)
    _empty(tx, Comment.post == post)
    tx.append(feed_stream(origin.group), "post.deleted", data)


def delete_comment(tx: Transaction, user: int, role: str, comment: int, caller: Bound | None = None) -> None:
    """Delete the user's own comment, or one on their own post (an admin any). Raises ForbiddenError and NotFoundError."""
    comments = find_comments(Comment.id == comment)
    if not comments:
        raise NotFoundError
    view = comments[0]
    origin = _get_origin(user, role, view.post, caller)
    if not is_author_shown(view.author.id, origin, caller):
        raise NotFoundError
    if role != "admin" and user not in (origin.author, view.author.id):
        raise ForbiddenError("only its author, the post's author or an admin may delete a comment")
    (data,) = _empty(tx, Comment.id == comment)
    Post.update(comments_count=Post.comments_count - 1).where(Post.id == view.post).execute()
    tx.append(feed_stream(origin.group), "comment.deleted", data)


def _empty(tx: Transaction, condition: peewee.Expression) -> list[bytes]:
    """Remove the texts of matching comments from the rows and from the log; returns each COMMENT as JSON, without its text."""
    present = condition & Comment.deleted_ms.is_null()
    events = dict(fetch_rows(Comment.select(Comment.id, Comment.event).where(present)))
    emptied = {events[comment.id]: _without_text(comment) for comment in find_comments(condition)}
    Comment.update(body="", deleted_ms=tx.now_ms).where(present).execute()
    tx.scrub_each(emptied)
    return list(emptied.values())


def _without_text(comment: CommentView) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(comment, body=""))
