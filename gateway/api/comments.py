"""Comments on posts."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gateway.http.base import MESSAGE_BODY_BYTES, Handler
from gateway.http.describe import PAGED, Id, Listed, chars, describe
from models.community import comment as comments
from models.community import removal
from models.community.comment import CommentView
from models.community.post import MAX_BODY_CHARS
from models.log.event import Transaction


class NewComment(msgspec.Struct, forbid_unknown_fields=True):
    """A comment to create. `reply_to` is another comment of the same post."""

    body: Annotated[str, chars(1, MAX_BODY_CHARS)]
    reply_to: Id | None = None


class Comments(Handler):
    """The comments of a post, for users who may see the post."""

    body_limit = MESSAGE_BODY_BYTES
    rate_limit: ClassVar[str] = "send"

    @describe("List a post's comments", {200: Listed[CommentView]}, query=PAGED)
    async def get(self, post: str) -> None:
        """Answer a list of COMMENT, oldest first."""

        async def read(after: int | None, count: int) -> list[CommentView]:
            return await self.read(comments.list_page, self.actor.user, int(post), after or 0, count, self.bound())

        await self.answer_list_by_id(read)

    @describe("Comment on a post", {201: CommentView}, body=NewComment, example={"body": "Well said."})
    async def post(self, post: str) -> None:
        """Answer 201 with COMMENT."""
        user, new = self.actor.user, self.decode(NewComment)

        def run(tx: Transaction) -> CommentView:
            return comments.create(tx, user, int(post), new.body, new.reply_to, self.bound_in(tx))

        self.answer(await self.commit(run), 201)


class Comment(Handler):
    """One comment."""

    @describe("Delete a comment", {204: None}, errors=("forbidden",))
    async def delete(self, comment: str) -> None:
        """Answer 204. The comment's author, the post's author and admins may delete it."""
        await self.commit(lambda tx: removal.delete_comment(tx, *self.checked_actor(tx), int(comment), self.bound_in(tx)))
        self.answer(None, 204)
