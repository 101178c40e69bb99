"""Posts: writing, listing and deleting them, liking and bookmarking."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from gateway.asked import field_error
from gateway.base import ID_MAX, MESSAGE_BODY_BYTES, Handler
from models import like as likes
from models import post as posts
from models import removal, timeline, token


class NewPost(msgspec.Struct, forbid_unknown_fields=True):
    """A text, for everybody or for a group."""

    body: str
    group: int | None = None


class Posts(Handler):
    """What the caller may read."""

    body_limit = MESSAGE_BODY_BYTES
    limit: ClassVar[str] = "send"

    async def get(self) -> None:
        """A list of POST, newest first: public ones and those of the caller's groups; one group's, or those bookmarked."""
        before, limit = self.page_number()
        group, bookmarked = self.number("group", 1, ID_MAX), self.text("bookmarked") == "true"
        found = await self.services.read(timeline.listed, self.actor.user, group, bookmarked, before, limit + 1)
        items = found[:limit]
        self.listed(items, items[-1].id if len(found) > limit else None)

    async def post(self) -> None:
        """201 POST."""
        user, asked = self.actor.user, self.decode(NewPost)
        if asked.group is not None and not 0 < asked.group < ID_MAX:
            raise field_error("group", "an id")
        self.answer(await self.commit(lambda log: posts.create(log, user, asked.group, asked.body)), 201)


class Post(Handler):
    """One post, for those who may see it."""

    async def get(self, post: str) -> None:
        """200 POST."""
        self.answer(await self.services.read(timeline.view_for, self.actor.user, int(post)))

    async def delete(self, post: str) -> None:
        """204: its author, or an admin."""
        actor, number = self.actor, int(post)
        await self.commit(lambda log: removal.delete_post(log, *token.check_actor(log, actor.token), number))
        self.answer(None, 204)


class Like(Handler):
    """Whether the caller likes a post."""

    async def put(self, post: str) -> None:
        """200 `{"liked","likes_count"}`, also when they did already."""
        user, number = self.actor.user, int(post)
        self.answer({"liked": True, "likes_count": await self.commit(lambda log: likes.like(log, user, number))})

    async def delete(self, post: str) -> None:
        """200 `{"liked","likes_count"}`, also when they did not."""
        user, number = self.actor.user, int(post)
        self.answer({"liked": False, "likes_count": await self.commit(lambda log: likes.unlike(log, user, number))})


class Bookmark(Handler):
    """Whether the caller wants to find a post again."""

    async def put(self, post: str) -> None:
        """200 `{"bookmarked"}`, also when it was already."""
        user, number = self.actor.user, int(post)
        await self.commit(lambda log: likes.bookmark(log, user, number))
        self.answer({"bookmarked": True})

    async def delete(self, post: str) -> None:
        """200 `{"bookmarked"}`, also when it was not."""
        user, number = self.actor.user, int(post)
        await self.commit(lambda log: likes.remove_bookmark(log, user, number))
        self.answer({"bookmarked": False})
