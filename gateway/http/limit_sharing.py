"""Rate limits that the gateways of one `serve` share over its local channel, without a round trip in a request.

Each gateway counts by itself and announces what the others should know (UnsharedWindows says what that is): at once when it has
announced nothing for ANNOUNCE_EVERY_S or the limit is a low one, else when that time is over. So beyond a limit, each gateway lets
through at most what reaches it in that time. One that starts, or has missed messages, gets the counts from the one that has run for
longest, or if that does not answer, from all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from itertools import islice

import msgspec

from gateway.delivery.listeners import ChannelListener
from gateway.http.limit_counters import Amount, MemoryCounters
from jobs.infra import channel

ANNOUNCE_EVERY_S = 0.05
ANNOUNCE_LATER_S = 1.0
MAX_WINDOWS_PER_MESSAGE = 400  # with the longest callers 200 KB; the loop needs 0.3 ms for it
ANSWER_WITHIN_S = 1.0  # by the oldest, which may hang
LAST_ANNOUNCEMENT_S = 0.2  # 50,000 windows need 0.08 s
PAUSE_S = 0.005  # between two messages of many windows


class Counts(msgspec.Struct, array_like=True):
    """Amounts in windows of users, and of addresses and other strangers. `are_totals`: what all gateways have counted."""

    are_totals: bool
    users: list[Amount]
    strangers: list[Amount]


class LimitSharing:
    """Announces what this gateway counts, and adds what others do. It runs on the loop's thread."""

    def __init__(self, users: MemoryCounters, strangers: MemoryCounters, listener: ChannelListener) -> None:
        self._users, self._strangers = users, strangers
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._announced_at = 0.0  # loop.time()
        self._timer: asyncio.Handle | None = None
        self._is_due_now = False
        self._later_timer: asyncio.Handle | None = None
        self._answer_timer: asyncio.Handle | None = None
        self._answers: dict[int, asyncio.Task[None]] = {}  # by the gateway that requested the counts
        self._of_users, self._of_strangers = users.share(self._schedule), strangers.share(self._schedule)
        listener.handlers |= {channel.COUNTS: self._receive, channel.COUNTS_REQUEST: self._receive_request}
        listener.gap_handlers.append(lambda: self._call(self._request))

    @property
    def down(self) -> bool:
        """Whether this gateway counts alone at the moment."""
        return self._listener.down

    def announce_all(self) -> None:
        """Announce what others do not know, since this gateway stops. Wait for the channel, at most LAST_ANNOUNCEMENT_S."""
        self._promote()
        deadline = time.monotonic() + LAST_ANNOUNCEMENT_S
        while self._send() and self._listener.flush(deadline - time.monotonic()):
            pass

    def _promote(self) -> None:
        self._of_users.promote()
        self._of_strangers.promote()

    def _schedule(self, is_urgent: bool) -> None:
        """Announce what was queued, once it is due."""
        if self._later_timer is None and (self._of_users.later or self._of_strangers.later):
            self._later_timer = self._loop.call_later(ANNOUNCE_LATER_S, self._announce_later)
        if not (self._of_users.soon or self._of_strangers.soon):
            return
        if self._timer is not None and (self._is_due_now or not is_urgent):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._is_due_now = is_urgent
        due = self._announced_at + ANNOUNCE_EVERY_S
        self._timer = self._loop.call_soon(self._announce) if is_urgent else self._loop.call_at(due, self._announce)

    def _announce_later(self) -> None:
        self._later_timer = None
        self._promote()
        self._announce()

    def _announce(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._is_due_now, self._announced_at = None, False, self._loop.time()
        if self._send() and (self._of_users.soon or self._of_strangers.soon):
            self._timer = self._loop.call_later(PAUSE_S, self._announce)

    def _send(self) -> bool:
        """Send one message. Return whether there was something to send, and it is on its way."""
        users = self._of_users.first(MAX_WINDOWS_PER_MESSAGE)
        strangers = self._of_strangers.first(MAX_WINDOWS_PER_MESSAGE - len(users))
        if not users and not strangers:
            return False
        message = msgspec.msgpack.encode(Counts(are_totals=False, users=users, strangers=strangers))
        if not self._listener.send(channel.COUNTS, message):
            return False
        self._of_users.pop(len(users))
        self._of_strangers.pop(len(strangers))
        return True

    # Called on the listener's thread

    def _call(self, work: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(work, *args)

    def _receive(self, _sender: int, content: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # of another version
            self._call(self._add, msgspec.msgpack.decode(content, type=Counts))

    def _receive_request(self, sender: int, _content: bytes) -> None:
        self._call(self._answer, sender)

    # On the loop's thread again

    def _request(self) -> None:
        self._announce()
        self._listener.send(channel.COUNTS_REQUEST, b"", channel.TO_OLDEST)
        self._stop_waiting_for_answer()
        self._answer_timer = self._loop.call_later(ANSWER_WITHIN_S, self._listener.send, channel.COUNTS_REQUEST, b"")

    def _stop_waiting_for_answer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()

    def _add(self, counts: Counts) -> None:
        if counts.are_totals:
            self._stop_waiting_for_answer()
        for counters, amounts in ((self._users, counts.users), (self._strangers, counts.strangers)):
            add = counters.add_total if counts.are_totals else counters.add
            for amount in amounts:
                add(amount)

    def _answer(self, gateway: int) -> None:
        if gateway not in self._answers:
            self._answers[gateway] = asyncio.ensure_future(self._send_totals(gateway))
            self._answers[gateway].add_done_callback(lambda _: self._answers.pop(gateway))

    async def _send_totals(self, gateway: int) -> None:
        for counters in (self._users, self._strangers):
            totals = counters.totals()
            while amounts := list(islice(totals, MAX_WINDOWS_PER_MESSAGE)):
                users, strangers = (amounts, []) if counters is self._users else ([], amounts)
                message = msgspec.msgpack.encode(Counts(are_totals=True, users=users, strangers=strangers))
                self._listener.send(channel.COUNTS, message, gateway)
                await asyncio.sleep(PAUSE_S)
