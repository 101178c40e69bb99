"""The whole log, for the host's backend: a long poll over all streams.

An admin may read everything that is in the log. No event carries a password, a code or a token, nor a hash of one: those of the
stream `gateways` name tokens by their ids.
"""

from __future__ import annotations

import time
from typing import TypedDict

from tornado.iostream import StreamClosedError

from gateway.api.admin.base import AdminHandler
from gateway.api.event_types import Event
from gateway.api.subscribing import CURSOR, TIMEOUT, position_of
from gateway.delivery.log_polls import LogPoll
from gateway.http.describe import IntParameter, TextParameter, describe
from gateway.http.errors import ProblemError
from gateway.http.request import field_error
from metrics.declared import POLLS_OPEN
from models.log import type_patterns
from models.log.type_patterns import TypePatterns
from models.store.errors import ExpiredError
from models.sync.catchup import Slice

LIMIT_OF_LOG = IntParameter("limit", "the maximum number of events; 200 by default", 1, 1_000)
EVENTS_PER_ANSWER = 200
TYPES_OF_LOG = TextParameter("types", "only events of these types, separated by commas; `message.*` is all that begin so")
AUDITED_EVERY_S = 60.0  # of one token: a reader polls as often as there are events
MAX_AUDITED = 1_000
LOG_POLLS_OPEN = POLLS_OPEN.labels("log")

_audited: dict[int, float] = {}  # token -> when a poll of it was recorded, time.monotonic()


class LoggedEvent(Event):
    """An event, and the stream that it belongs to."""

    stream: str


class LogAnswer(TypedDict):
    """Events of all streams. `cursor` is for the next poll, which answers at once if `more` is true."""

    events: list[LoggedEvent]
    cursor: str
    more: bool


class AdminLog(AdminHandler):
    """The long poll of the whole log. Of a token's polls one a minute is recorded in the audit."""

    query_token = True
    is_paced = True
    poll: LogPoll | None = None

    @describe(
        "Poll for events of all streams",
        {200: LogAnswer},
        query=(CURSOR, TYPES_OF_LOG, LIMIT_OF_LOG, TIMEOUT),
        errors=("cursor-expired",),
    )
    async def get(self) -> None:
        """Answer 200 with `{"events","cursor","more"}`, or 410 with the present cursor if the cursor has expired."""
        requested_s = self.query_seconds(TIMEOUT)
        timeout_s = min(self.services.settings.poll_timeout_s if requested_s is None else requested_s, self.remaining_s())
        patterns, limit = self.patterns(), self.query_int(LIMIT_OF_LOG) or EVENTS_PER_ANSWER
        cursor, hub = self.get_query_argument("cursor", None), self.services.hub
        self.is_audited = self._was_audited_lately()
        if cursor is None:
            self.answer({"events": [], "cursor": hub.cursor(hub.head), "more": False})
            return
        try:
            await self._answer_after(cursor, patterns, limit, timeout_s)
        except ExpiredError:
            raise ProblemError("cursor-expired", "continue from this cursor", cursor=hub.cursor(hub.head)) from None

    async def head(self, *_: str) -> None:
        """The headers only: nobody waits."""
        self.finish()

    async def _answer_after(self, cursor: str, patterns: TypePatterns, limit: int, timeout_s: float) -> None:
        position = position_of(self, cursor)
        hub, token = self.services.hub, self.actor.token
        poll = self.poll = hub.log_polls.open(self.actor.user, token, hub.max_polls_per_user)
        LOG_POLLS_OPEN.inc()
        try:
            await self._require_admin()  # the poll does not notice what changed before it was opened
            found = await self.services.whole_log.next(poll, position, patterns, limit, timeout_s)
            if poll.end_reason == "aborted":
                return
            if poll.end_reason == "dead":
                await self.refuse_ended()
            await self._require_admin()
            sent = self.answer(self._encoded(found))
            del found  # a slow client must not keep the events
            await sent
        except StreamClosedError:
            pass
        finally:
            LOG_POLLS_OPEN.dec()
            hub.log_polls.close(poll)

    def _encoded(self, found: Slice) -> bytes:
        parts = b",".join(map(self.services.whole_log.encode, found.events))
        cursor, more = self.services.hub.cursor(found.position).encode(), b"true}" if found.more else b"false}"
        return b"".join((b'{"events":[', parts, b'],"cursor":"', cursor, b'","more":', more))

    async def _require_admin(self) -> None:
        """Raise an error if the caller's token was revoked, or they are no admin any more."""
        credential = self.credential()
        actor = self.services.tokens.cached(credential) or await self.services.tokens.find(credential)
        if actor.role != "admin":
            raise ProblemError("forbidden", "only admins may do this")

    def patterns(self) -> TypePatterns:
        """The types of `?types=`. Raises ProblemError 422."""
        try:
            return type_patterns.parse([name for name in self.query_text(TYPES_OF_LOG).split(",") if name])
        except ValueError as error:
            raise field_error(TYPES_OF_LOG.name, str(error)) from None

    def _was_audited_lately(self) -> bool:
        now, token = time.monotonic(), self.actor.token
        if now - _audited.get(token, -AUDITED_EVERY_S) < AUDITED_EVERY_S:
            return True
        _audited.pop(token, None)
        if len(_audited) >= MAX_AUDITED:
            del _audited[next(iter(_audited))]
        _audited[token] = now  # behind those that were recorded before
        return False

    def on_connection_close(self) -> None:
        """End the poll: the client has disconnected."""
        if self.poll is not None:
            self.poll.end("aborted")
        super().on_connection_close()
