"""Deleting posts and comments: their texts leave rows and log in the transaction that says so."""

from __future__ import annotations

import msgspec

from models.community import post as posts
from models.community.comment import CommentView, find_comments
from models.community.post import PostOrigin, feed_stream, require_visible
from models.log.event import Transaction
from models.store.database import execute, rows
from models.store.errors import ForbiddenError, NotFoundError


def _place(user: int, role: str, post: int) -> PostOrigin:
    """Where a post is that the caller may see; an admin deletes unseen. Raises NotFoundError."""
    return posts.get_origin(post) if role == "admin" else require_visible(user, post)


def delete_post(tx: Transaction, user: int, role: str, post: int) -> None:
    """Deletes one's own post (an admin any), with the texts of its comments. Raises ForbiddenError and NotFoundError."""
    place = _place(user, role, post)
    if role != "admin" and place.author != user:
        raise ForbiddenError("only its author or an admin deletes a post")
    data = msgspec.json.encode(msgspec.structs.replace(posts.event_views([post])[0], body=""))
    copies = rows("SELECT event FROM posts WHERE id=? UNION SELECT event FROM post_copies WHERE post_id=?", (post, post))
    execute("UPDATE posts SET body='', deleted_ms=? WHERE id=?", (tx.now_ms, post))
    tx.scrub([event for (event,) in copies], data)
    _empty(tx, "c.post_id=?", post)
    tx.append(feed_stream(place.group), "post.deleted", data)


def delete_comment(tx: Transaction, user: int, role: str, comment: int) -> None:
    """Deletes one's own comment, or one on one's own post (an admin any). Raises ForbiddenError and NotFoundError."""
    found = find_comments("c.id=?", (comment,))
    if not found:
        raise NotFoundError
    place = _place(user, role, found[0].post)
    if role != "admin" and user not in (place.author, found[0].author.id):
        raise ForbiddenError("only its author, the post's author or an admin deletes a comment")
    (data,) = _empty(tx, "c.id=?", comment)
    execute("UPDATE posts SET comments_count=comments_count-1 WHERE id=?", (found[0].post,))
    tx.append(feed_stream(place.group), "comment.deleted", data)


def _empty(tx: Transaction, condition: str, id_: int) -> list[bytes]:
    """Takes the texts of the comments `c` of which a condition holds out of rows and log; returns each COMMENT as it is then."""
    found = find_comments(condition, (id_,))
    events = dict(rows(f"SELECT c.id, c.event FROM comments c WHERE c.deleted_ms IS NULL AND {condition}", (id_,)))
    emptied = {events[view.id]: _without_text(view) for view in found}
    execute(f"UPDATE comments AS c SET body='', deleted_ms=? WHERE c.deleted_ms IS NULL AND {condition}", (tx.now_ms, id_))
    tx.scrub_each(emptied)
    return list(emptied.values())


def _without_text(view: CommentView) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(view, body=""))
