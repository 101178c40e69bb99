"""The calls of administrators, with which a product embeds Bellwire: `client.admin`. They raise what other calls raise."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from bellwire_client.binding import call
from bellwire_client.errors import UnexpectedAnswerError
from bellwire_client.following import POLL_SLACK_S, POLL_TIMEOUT_S, SERVER_ERRORS
from bellwire_client.paging import Pages
from bellwire_client.reading import read
from bellwire_client.shapes import CreatedToken, LoggedEvent, Upserted, User, UserRef
from bellwire_client.steps import Method, Request, Steps, send_with_retries

if TYPE_CHECKING:
    from bellwire_client.aio import AsyncClient
    from bellwire_client.client import Client

T = TypeVar("T")


class AdminCalls:
    """The calls of both clients."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def _call(self, method: Method, path: str, body: Any = None, *, repeatable: bool = False) -> Steps[Any]:
        request = Request(method, path, body, repeatable=repeatable)
        return (yield from send_with_retries(request, self._client.patience_s)).body

    @call
    def put_user(self, external_id: str, fields: Mapping[str, Any]) -> Steps[User]:
        """Make or change the account of one of your users: `username`, `display_name`, `email`, `role`, `status`, `locale`,
        `timezone` and `metadata`, each if it is there. Doing it again changes nothing."""
        return read(User, (yield from self._call("PUT", f"/admin/users/{user_path(f'ext:{external_id}')}", dict(fields))))

    @call
    def upsert_users(self, users: Sequence[Mapping[str, Any]]) -> Steps[Upserted]:
        """Do the same for 1 to 1,000 users at once, all or none. Each has `external_id` beside the fields of `put_user`."""
        return read(Upserted, (yield from self._call("POST", "/admin/users/upsert", {"users": list(users)}, repeatable=True)))

    @call
    def create_token(self, user: UserRef, *, expires_in: int | None = None, label: str | None = None) -> Steps[CreatedToken]:
        """Make a token for a user, which ends after `expires_in` seconds, at most 400 days."""
        body = {"label": label, "expires_in": expires_in}
        given = {name: value for name, value in body.items() if value is not None}
        return read(CreatedToken, (yield from self._call("POST", f"/admin/users/{user_path(user)}/tokens", given)))

    @call
    def end_tokens(self, user: UserRef) -> Steps[None]:
        """End all tokens of a user, and those of your own that were issued up to now."""
        yield from self._call("DELETE", f"/admin/users/{user_path(user)}/tokens")

    @call
    def delete_user(self, user: UserRef, *, texts: Literal["keep", "erase"]) -> Steps[int]:
        """Delete a user's account, and with `erase` all that they wrote; return the job, which goes on by itself."""
        request = Request("DELETE", f"/admin/users/{user_path(user)}", params={"texts": texts})
        return int((yield from send_with_retries(request, self._client.patience_s)).body["job"])

    @call
    def notify(
        self,
        type: str,
        *,
        to: Sequence[UserRef] | None = None,
        topic: str | None = None,
        conversation: int | None = None,
        role: str | None = None,
        actor: UserRef | None = None,
        values: Mapping[str, Any] | None = None,
        url: str | None = None,
        dedupe: str | None = None,
        not_before: datetime | None = None,
        unless_read: bool | None = None,
    ) -> Steps[str]:
        """Notify up to 10,000 users, the members of a topic or conversation, or a role; return the event's cursor. With `dedupe`,
        at most 200 characters, a repetition makes no second notification, for good: only then is a broken call repeated."""
        body = {
            **{"type": type, "to": None if to is None else list(to), "topic": topic, "conversation": conversation, "role": role},
            **{"actor": actor, "values": values, "url": url, "dedupe": dedupe, "unless_read": unless_read},
            "not_before": None if not_before is None else not_before.isoformat(),
        }
        given = {name: value for name, value in body.items() if value is not None}
        answer = yield from self._call("POST", "/admin/notify", given, repeatable=dedupe is not None)
        return str(answer["event"])

    @call
    def put_notification_type(self, type: str, definition: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Define one of your types of notifications: `words` by locale, `group_by`, `in_app`, `email`, `push`, `urgent`, `url`."""
        return dict((yield from self._call("PUT", f"/admin/notification-types/{quote(type, safe='')}", dict(definition))))

    @call
    def delete_notification_type(self, type: str) -> Steps[None]:
        """Delete one of your types. What its users chose stays."""
        yield from self._call("DELETE", f"/admin/notification-types/{quote(type, safe='')}")

    @call
    def create_webhook(self, url: str, *, types: Sequence[str] = (), start: str | None = None) -> Steps[dict[str, Any]]:
        """Have the log pushed to an address, after `start` (a cursor, or `begin`), by default from now on. The answer's `secret`,
        with which `verify_webhook` checks what arrives, is not shown again."""
        body = {"url": url, "types": list(types), **({} if start is None else {"from": start})}
        return dict((yield from self._call("POST", "/admin/webhooks", body)))

    @call
    def subscribe(self, topic: str, user: UserRef, subscribed: bool = True) -> Steps[None]:
        """Make a user a member of a topic, or no longer."""
        path = f"/admin/topics/{quote(topic, safe='')}/members/{user_path(user)}"
        yield from self._call("PUT" if subscribed else "DELETE", path)


class Log:
    """The whole log after a cursor, without an end.

    `cursor` is the place after the last event that was yielded. Who stores it in the transaction that applies the event has each
    event exactly once: `log(cursor=stored)` continues there. Raises ProblemError with the status 410 when it has expired.
    """

    def __init__(self, client: Any, cursor: str | None, types: Collection[str], limit: int | None) -> None:
        self.cursor = cursor
        self._client = client
        self._params = {"types": ",".join([types] if isinstance(types, str) else types) or None, "limit": limit}

    def load(self) -> Steps[list[tuple[str, LoggedEvent | None]]]:
        """Wait for events and return them, each with the cursor after it. Repeats failed calls until the server answers."""
        params = {**self._params, "cursor": self.cursor, "timeout": POLL_TIMEOUT_S}
        request = Request("GET", "/admin/log", params=params, timeout_s=POLL_TIMEOUT_S + POLL_SLACK_S)
        body = (yield from send_with_retries(request, math.inf, SERVER_ERRORS)).body
        if not isinstance(body, dict) or "cursor" not in body:
            raise UnexpectedAnswerError("this is not the log of Bellwire: is the address right?")
        events = [read(LoggedEvent, event) for event in body["events"]]
        return [*((str(event.id), event) for event in events), (body["cursor"], None)]

    def __iter__(self) -> Iterator[LoggedEvent]:
        while True:
            for cursor, event in self._client.run(self.load()):
                self.cursor = cursor
                if event is not None:
                    yield event

    async def __aiter__(self) -> AsyncIterator[LoggedEvent]:
        while True:
            for cursor, event in await self._client.run(self.load()):
                self.cursor = cursor
                if event is not None:
                    yield event


class Admin(AdminCalls):
    """The calls of administrators for `Client`."""

    _client: Client

    def log(self, cursor: str | None = None, *, types: Collection[str] = (), limit: int | None = None) -> Log:
        """Return the events of all streams after a cursor; after `begin`, all that are kept; without one, those to come. `types`
        are names or patterns, such as `message.*`; `limit` is the most that one poll answers, up to 1,000."""
        return Log(self._client, cursor, types, limit)

    def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        return self._client.run(steps)

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """Yield the items of a list, page by page."""
        return self._client.each(pages)


class AsyncAdmin(AdminCalls):
    """The calls of administrators for `AsyncClient`."""

    _client: AsyncClient

    def log(self, cursor: str | None = None, *, types: Collection[str] = (), limit: int | None = None) -> Log:
        """Return the events of all streams, as `Client.admin.log` does, for `async for`."""
        return Log(self._client, cursor, types, limit)

    async def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""
        return await self._client.run(steps)

    def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Yield the items of a list, page by page."""
        return self._client.each(pages)


def user_path(user: UserRef) -> str:
    """Return a user as a part of a path."""
    return quote(str(user), safe=":")
