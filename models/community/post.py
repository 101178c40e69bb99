"""Posts: their tables, creating them, and their data in events. Only members see a group's posts; the others are
seen by all users who may see their authors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import peewee

from models.community import group as groups
from models.community.group import Group
from models.files import claims
from models.files.file import FileView, views_of
from models.identity import contacts
from models.identity import user as users
from models.identity.contacts import Bound
from models.identity.user import VIEW_COLUMNS, User, UserView
from models.log.event import POSTS, Transaction, group_stream
from models.store.clock import rfc3339
from models.store.database import Base, NeverReusedIdField, fetch_rows, insert_rows, rows
from models.store.errors import InvalidError, NotFoundError

MAX_BODY_CHARS = 20_000


class Post(Base):
    """One post. `event` is the id of its `post.created` event. The counts are the numbers of rows of likes and comments."""

    id = NeverReusedIdField()
    author = peewee.ForeignKeyField(User)
    group = peewee.ForeignKeyField(Group, index=False, null=True)
    body = peewee.TextField()
    likes_count = peewee.IntegerField()
    comments_count = peewee.IntegerField()
    created_ms = peewee.BigIntegerField()
    deleted_ms = peewee.BigIntegerField(null=True)
    event = peewee.BigIntegerField()
    files = peewee.SmallIntegerField(null=True)  # how many; NULL for none

    class Meta:
        table_name = "posts"
        indexes = ((("group", "id"), False),)


class PostCopy(Base):
    """Another event that contains a post's text, which is removed from the event when the post is deleted."""

    post = peewee.ForeignKeyField(Post, index=False)
    event = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "post_copies"
        primary_key = peewee.CompositeKey("post", "event")


class PostView(msgspec.Struct, gc=False):
    """POST of the contract. `liked` and `bookmarked` are about the caller, and absent from events."""

    id: int
    author: UserView
    group: int | None
    body: str
    created_at: str
    likes_count: int
    comments_count: int
    files: list[FileView]
    liked: bool | msgspec.UnsetType = msgspec.UNSET
    bookmarked: bool | msgspec.UnsetType = msgspec.UNSET


class PostOrigin(NamedTuple):
    """A post's author, and its group, if any."""

    author: int
    group: int | None


def feed_stream(group: int | None) -> str:
    """The stream of a group's posts, or of public ones."""
    return POSTS if group is None else group_stream(group)


def require_text(body: str, *, may_be_empty: bool = False) -> None:
    """Raise InvalidError unless a body has 1 to MAX_BODY_CHARS characters and no NUL, which PostgreSQL cannot store."""
    if not (0 if may_be_empty else 1) <= len(body) <= MAX_BODY_CHARS or "\0" in body:
        raise InvalidError(("body", f"must have 1 to {MAX_BODY_CHARS} characters, and no NUL"))


def create(tx: Transaction, user: int, group: int | None, body: str, files: Sequence[int] | None = None) -> PostView:
    """Create a public post, or one in a group that the user is in. Raises InvalidError and NotFoundError."""
    require_text(body, may_be_empty=bool(files))
    if group is not None:
        groups.require_member(group, user)
    claimed = [] if files is None else claims.claim_valid(user, files)
    id_ = tx.next_id("posts")
    view = PostView(id_, users.view(user), group, body, rfc3339(tx.now_ms), 0, 0, claimed)
    event = tx.append(feed_stream(group), "post.created", msgspec.json.encode(view))
    Post.insert(
        id=id_, author=user, group=group, body=body, likes_count=0, comments_count=0, created_ms=tx.now_ms, event=event
    ).as_rowcount().execute()
    if claimed:
        claims.write(tx, "post", "posts", {id_: claimed})
    return msgspec.structs.replace(view, liked=False, bookmarked=False)


def get_origin(post: int) -> PostOrigin:
    """The origin of a post that is not deleted, for callers who may see every post. Raises NotFoundError."""
    return _get_origin("p.deleted_ms IS NULL", (post,))


def visible(user: int, caller: Bound | None) -> tuple[str, list[int]]:
    """Return the SQL condition that a user may see the post `p`, and its parameters. As a caller from whom people are hidden, the
    user sees no public posts of these."""
    is_seen, caller_ids = contacts.seen("p.author_id", caller)
    is_member = "SELECT 1 FROM group_members m WHERE m.group_id=p.group_id AND m.user_id=? AND m.to_event IS NULL"
    return f"p.deleted_ms IS NULL AND (p.group_id IS NULL{is_seen} OR EXISTS ({is_member}))", [*caller_ids, user]


def require_visible(user: int, post: int, caller: Bound | None = None) -> PostOrigin:
    """The origin of a post that the user may see. Raises NotFoundError."""
    condition, params = visible(user, caller)
    return _get_origin(condition, (post, *params))


def _get_origin(condition: str, params: Sequence[int]) -> PostOrigin:
    # Raw: part of a like, which shares the condition.
    origins = rows(f"SELECT p.author_id, p.group_id FROM posts p WHERE p.id=? AND {condition}", params)
    if not origins:
        raise NotFoundError
    return PostOrigin(*origins[0])


def event_views(ids: Sequence[int]) -> list[PostView]:
    """Posts as events carry them, newest first. Deleted ones are left out."""
    columns = (Post.id, Post.group, Post.body, Post.created_ms, Post.likes_count, Post.comments_count)
    query = Post.select(*columns, *VIEW_COLUMNS, Post.files).join(User).where(Post.id.in_(list(ids)), Post.deleted_ms.is_null())
    found = fetch_rows(query.order_by(Post.id.desc()))
    attached = views_of("post", [id_ for id_, *_, count in found if count])
    return [
        PostView(id_, UserView(*author), group, body, rfc3339(created_ms), likes, comments, attached.get(id_, []))
        for id_, group, body, created_ms, likes, comments, *author, _ in found
    ]


def append_count_updates(tx: Transaction, ids: Sequence[int]) -> int:
    """Append `post.updated` with the current counts and files of these posts, for those who follow posts; returns for how many."""
    posts = event_views(ids)
    copies = [(post.id, tx.append(feed_stream(post.group), "post.updated", msgspec.json.encode(post))) for post in reversed(posts)]
    insert_rows(PostCopy, ("post_id", "event"), copies)
    return len(posts)
