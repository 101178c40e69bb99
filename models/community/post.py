"""Posts: creating them, and their data in events. Members see a group's posts, and all users see the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import peewee

from models.community import group as groups
from models.community.group import Group
from models.identity import user as users
from models.identity.user import User, UserView
from models.log.event import POSTS, Transaction, group_stream
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, execute, insert_rows, placeholders, rows
from models.store.errors import InvalidError, NotFoundError

BODY_CHARS = 20_000
COLUMNS = "p.id, p.group_id, p.body, p.created_ms, p.likes_count, p.comments_count"
AUTHOR = "u.id, u.username, u.display_name, u.role, u.status"
VISIBLE = (  # to the user who is its one parameter
    "p.deleted_ms IS NULL AND (p.group_id IS NULL OR EXISTS "
    "(SELECT 1 FROM group_members m WHERE m.group_id=p.group_id AND m.user_id=? AND m.to_event IS NULL))"
)


class Post(Base):
    """One post. `event` is the id of the event that announced it; the counts are those of the rows of likes and comments."""

    id = NeverReusedIdField()
    author = peewee.ForeignKeyField(User, index=False)
    group = peewee.ForeignKeyField(Group, index=False, null=True)
    body = peewee.TextField()
    likes_count = peewee.IntegerField()
    comments_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()
    deleted_ms = peewee.BigIntegerField(null=True)
    event = peewee.BigIntegerField()

    class Meta:
        table_name = "posts"
        indexes = ((("group", "id"), False),)


class PostCopy(Base):
    """An event, besides the one that announced it, that carries a post's text and must lose it with the post."""

    post = peewee.ForeignKeyField(Post, index=False)
    event = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "post_copies"
        primary_key = peewee.CompositeKey("post", "event")


class PostView(msgspec.Struct, gc=False):
    """POST of the contract; `liked` and `bookmarked` are about who asks, and not in events."""

    id: int
    author: UserView
    group: int | None
    body: str
    created_at: str
    likes_count: int
    comments_count: int
    liked: bool | msgspec.UnsetType = msgspec.UNSET
    bookmarked: bool | msgspec.UnsetType = msgspec.UNSET


class PostOrigin(NamedTuple):
    """A post's author, and its group, if any."""

    author: int
    group: int | None


def feed_stream(group: int | None) -> str:
    """The stream that tells of a group's posts, or of public ones."""
    return POSTS if group is None else group_stream(group)


def require_text(body: str) -> None:
    """Raises InvalidError for a body that can't be. No column of PostgreSQL's holds a NUL, and no reader would see one."""
    if not 1 <= len(body) <= BODY_CHARS or "\0" in body:
        raise InvalidError(("body", f"1 to {BODY_CHARS} characters, no NUL"))


def create(tx: Transaction, user: int, group: int | None, body: str) -> PostView:
    """Posts for everybody, or to a group that the user is in. Raises InvalidError and NotFoundError."""
    require_text(body)
    if group is not None:
        groups.require_member(group, user)
    id_ = tx.next_id("posts")
    made = PostView(id_, users.view(user), group, body, rfc3339(tx.now_ms), 0, 0)
    event = tx.append(feed_stream(group), "post.created", msgspec.json.encode(made))
    execute(
        "INSERT INTO posts (id, author_id, group_id, body, likes_count, comments_count, created_ms, event) "
        "VALUES (?,?,?,?,0,0,?,?)",
        (id_, user, group, body, tx.now_ms, event),
    )
    return msgspec.structs.replace(made, liked=False, bookmarked=False)


def get_origin(post: int) -> PostOrigin:
    """A post that is not deleted, for callers who may see every post. Raises NotFoundError."""
    return _get_origin("p.deleted_ms IS NULL", (post,))


def require_visible(user: int, post: int) -> PostOrigin:
    """A post that the user may see. Raises NotFoundError."""
    return _get_origin(VISIBLE, (post, user))


def _get_origin(condition: str, params: Sequence[int]) -> PostOrigin:
    found = rows(f"SELECT p.author_id, p.group_id FROM posts p WHERE p.id=? AND {condition}", params)
    if not found:
        raise NotFoundError
    return PostOrigin(*found[0])


def event_views(ids: Sequence[int]) -> list[PostView]:
    """Posts as events carry them, newest first. Deleted ones are left out."""
    if not ids:
        return []
    found = rows(
        f"SELECT {COLUMNS}, {AUTHOR} FROM posts p JOIN users u ON u.id=p.author_id "
        f"WHERE p.id IN ({placeholders(len(ids))}) AND p.deleted_ms IS NULL ORDER BY p.id DESC",
        ids,
    )
    return [
        PostView(i, UserView(*author), group, body, rfc3339(made), likes, comments)
        for i, group, body, made, likes, comments, *author in found
    ]


def append_count_updates(tx: Transaction, ids: Sequence[int]) -> int:
    """Tells those who follow posts how often these are liked and commented on now; returns of how many it told."""
    found = event_views(ids)
    copies = [(post.id, tx.append(feed_stream(post.group), "post.updated", msgspec.json.encode(post))) for post in reversed(found)]
    insert_rows(PostCopy, ("post_id", "event"), copies)
    return len(found)
