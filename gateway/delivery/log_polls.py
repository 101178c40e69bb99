"""The open polls of the whole log, by the host's backend. It costs a commit nothing while none is open, and else one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

WAKE_AFTER_S = 0.01  # after a commit: however many commits there are, polls that choose other events wake a hundred times a second
MAX_OPEN = 100  # of all admins


class LogPoll:
    """One open poll. `end_reason` is set when it must be answered without waiting."""

    __slots__ = ("_future", "end_reason", "token", "user")

    def __init__(self, user: int, token: int) -> None:
        self.user = user
        self.token = token
        self.end_reason = ""
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let the poll read on, if it waits."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def end(self, reason: str) -> None:
        """End it, for a reason of `Subscription.end`."""
        self.end_reason = self.end_reason or reason
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Wait until there may be newer events, the poll is ended, or the time is over."""
        self._future = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._future
        except TimeoutError:
            pass
        finally:
            self._future = None


class LogPolls:
    """The open polls of one gateway. It runs on the loop's thread only."""

    def __init__(self) -> None:
        self._open: dict[LogPoll, None] = {}
        self._waking = False
        self._closing = False

    def open(self, user: int, token: int, max_per_user: int) -> LogPoll:
        """Open a poll. Beyond a bound, of the user or of all, the oldest one is ended."""
        of_user = [poll for poll in self._open if poll.user == user]
        if len(of_user) >= max_per_user:
            of_user[0].end("superseded")
        elif len(self._open) >= MAX_OPEN:
            next(iter(self._open)).end("superseded")
        poll = LogPoll(user, token)
        self._open[poll] = None
        if self._closing:
            poll.end("closing")
        return poll

    def close(self, poll: LogPoll) -> None:
        """Forget a poll that is answered."""
        self._open.pop(poll, None)

    def wake_soon(self) -> None:
        """Let all open polls read on: there are newer events."""
        if self._open and not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_later(WAKE_AFTER_S, self._wake)

    def _wake(self) -> None:
        self._waking = False
        for poll in self._open:
            poll.wake()

    def end(self, user: int, tokens: Collection[int] | None, reason: str) -> None:
        """End the user's polls that were opened with these tokens (None: all of them)."""
        for poll in list(self._open):
            if poll.user == user and (tokens is None or poll.token in tokens):
                poll.end(reason)

    def end_all(self) -> None:
        """End every poll, and every later one at once: the gateway stops."""
        self._closing = True
        for poll in list(self._open):
            poll.end("closing")
