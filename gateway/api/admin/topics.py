"""Topics of the host's, and who is in them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api.admin.base import AdminHandler
from gateway.api.admin.notify import EXPECTED_TOPIC
from gateway.http.describe import PAGED, Listed, describe
from models.identity import external_id
from models.identity.user import UserView
from models.notices import topics
from models.store.errors import InvalidError


class TopicMembers(AdminHandler):
    """The members of a topic."""

    @describe("List the members of a topic", {200: Listed[UserView]}, query=PAGED, errors=("invalid",))
    async def get(self, topic: str) -> None:
        """Answer a list of USER, by id. A topic that nobody was ever in has no members."""
        _require_valid(topic)

        async def read(after: int | None, count: int) -> Sequence[UserView]:
            return await self.read(topics.members, topic, after, count)

        await self.answer_list_by_id(read)


class TopicMembership(AdminHandler):
    """One user in a topic."""

    @describe("Add a user to a topic", {204: None}, errors=("invalid",))
    async def put(self, topic: str, user: str) -> None:
        """Answer 204. The user is notified of what is requested for the topic from now on."""
        _require_valid(topic)
        number = int(user)
        await self.commit(lambda tx: topics.join(tx, topic, number))
        self.answer(None, 204)

    @describe("Remove a user from a topic", {204: None}, errors=("invalid",))
    async def delete(self, topic: str, user: str) -> None:
        """Answer 204, also for a user who is not in it."""
        _require_valid(topic)
        number = int(user)
        await self.commit(lambda tx: topics.leave(tx, topic, number))
        self.answer(None, 204)


def _require_valid(topic: str) -> None:
    if not external_id.is_valid(topic):
        raise InvalidError(("topic", EXPECTED_TOPIC))
