"""Posts: creating, listing and deleting them, likes and bookmarks."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.messages import AttachedFiles
from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import PAGED, BoolParameter, Id, IntParameter, Listed, chars, describe
from models.community import like as likes
from models.community import post as posts
from models.community import post_queries, removal
from models.community.post import MAX_BODY_CHARS, PostView

GROUP = IntParameter("group", "only posts of this group")
BOOKMARKED = BoolParameter("bookmarked", "only posts that the caller has bookmarked")


class NewPost(msgspec.Struct, forbid_unknown_fields=True):
    """A post to create, for all users or for the members of a group."""

    body: Annotated[str, chars(0, MAX_BODY_CHARS, "required, unless it has files", enforced=False)] = ""
    group: Id | None = None
    files: AttachedFiles | UnsetType = UNSET


class LikeAnswer(TypedDict):
    """Whether the caller likes the post, and the number of its likes."""

    liked: bool
    likes_count: int


class BookmarkAnswer(TypedDict):
    """Whether the caller has bookmarked the post."""

    bookmarked: bool


class Posts(Handler):
    """The posts that the caller may read."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe("List posts", {200: Listed[PostView]}, query=(GROUP, BOOKMARKED, *PAGED), errors=("not-found",))
    async def get(self) -> None:
        """Answer a list of POST, newest first: public ones and those of the caller's groups, of one group, or bookmarked ones."""
        group, bookmarked = self.query_int(GROUP), self.query_bool(BOOKMARKED)

        async def read(before: int | None, count: int) -> list[PostView]:
            return await self.read(
                post_queries.list_page, self.actor.user, group, before, count, self.bound(), bookmarked=bookmarked
            )

        await self.answer_list_by_id(read)

    @describe("Create a post", {201: PostView}, body=NewPost, errors=("not-found",), example={"body": "Hello, everybody."})
    async def post(self) -> None:
        """Answer 201 with POST."""
        user, new = self.actor.user, self.decode(NewPost)
        files = None if new.files is UNSET else new.files
        self.answer(await self.commit(lambda tx: posts.create(tx, user, new.group, new.body, files)), 201)


class Post(Handler):
    """A post, for users who may see it."""

    @describe("Read a post", {200: PostView})
    async def get(self, post: str) -> None:
        """Answer 200 with POST."""
        self.answer(await self.read(post_queries.get_view, self.actor.user, int(post), self.bound()))

    @describe("Delete a post", {204: None}, errors=("forbidden",))
    async def delete(self, post: str) -> None:
        """Answer 204. The post's author and admins may delete it."""
        number = int(post)
        await self.commit(lambda tx: removal.delete_post(tx, *self.checked_actor(tx), number, self.bound_in(tx)))
        self.answer(None, 204)


class Like(Handler):
    """The caller's like of a post."""

    @describe("Like a post", {200: LikeAnswer})
    async def put(self, post: str) -> None:
        """Answer 200 with `{"liked","likes_count"}`, also if the caller liked the post already."""
        user, number = self.actor.user, int(post)
        self.answer({"liked": True, "likes_count": await self.commit(lambda tx: likes.like(tx, user, number, self.bound_in(tx)))})

    @describe("Remove a like", {200: LikeAnswer})
    async def delete(self, post: str) -> None:
        """Answer 200 with `{"liked","likes_count"}`, also if the caller did not like the post."""
        user, number = self.actor.user, int(post)
        self.answer(
            {"liked": False, "likes_count": await self.commit(lambda tx: likes.unlike(tx, user, number, self.bound_in(tx)))}
        )


class Bookmark(Handler):
    """The caller's bookmark of a post."""

    @describe("Bookmark a post", {200: BookmarkAnswer})
    async def put(self, post: str) -> None:
        """Answer 200 with `{"bookmarked"}`, also if the bookmark existed already."""
        user, number = self.actor.user, int(post)
        await self.commit(lambda tx: likes.bookmark(tx, user, number, self.bound_in(tx)))
        self.answer({"bookmarked": True})

    @describe("Remove a bookmark", {200: BookmarkAnswer})
    async def delete(self, post: str) -> None:
        """Answer 200 with `{"bookmarked"}`, also if there was no bookmark."""
        user, number = self.actor.user, int(post)
        await self.commit(lambda tx: likes.remove_bookmark(tx, user, number, self.bound_in(tx)))
        self.answer({"bookmarked": False})
