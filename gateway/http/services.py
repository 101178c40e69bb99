"""What the handlers of one gateway work with."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Any

from conf import Settings
from gateway.commit.committer import Committed, Committer
from gateway.commit.threads import HASHERS, HASHES_WAITING, READERS, READS_WAITING, Pool
from gateway.delivery.bus import Bus
from gateway.delivery.hub import Hub
from gateway.delivery.presence import Presence
from gateway.delivery.tail import Tail
from gateway.http.rate_limits import Limits
from gateway.http.tokens import Tokens
from gateway.http.traffic import Traffic
from models.log import event
from models.log.event import Event
from models.store import facts

WAKE_BACKGROUND_S = 0.01  # after a commit: another thread at once would want the GIL while the sends are being answered


class Services:
    """Built on the loop's thread, with a store that is migrated."""

    def __init__(self, settings: Settings, wake_background: Callable[[], None]) -> None:
        self.settings = settings
        self.stopping = False
        self.degraded: Callable[[], list[str]] = list
        self.origins = frozenset(settings.allowed_origins)
        self.limits = Limits(settings)
        self.traffic = Traffic(settings)
        self.read = Pool("reader", READERS, READS_WAITING)
        self.hash = Pool("hasher", HASHERS, HASHES_WAITING)
        self.tokens = Tokens(self.read)
        self.committer = Committer(self._committed)
        self.hub = Hub(facts.epoch(), event.head(), self.read, self)
        self.hub.max_polls_per_user = settings.open_polls_per_user
        self.presence = Presence(self.committer, self.read, self.hub.publish_ephemeral)
        self.tail = Tail(self.hub)
        self.hub.check_log = self.tail.check
        self.bus = Bus(settings, self.hub, self.tail.check_on_this_thread, lambda: max(self.hub.head, self.committer.seen))
        self.hub.forward_ephemeral = self.bus.publish_ephemeral
        self.legacy_polls: dict[int, Any] = {}
        self.wake_background = wake_background
        self.wake_mail: Callable[[], None] = lambda: None
        self.secret = settings.secret()
        self._waking = False

    def start(self) -> None:
        """Starts the threads."""
        self.committer.start(self.hub.head)
        self.tail.start()
        self.bus.start()
        event.on_append.append(self.bus.hint)

    def _committed(self, committed: Committed) -> None:
        self.hub.publish(committed.after, committed.events, committed.at)
        if committed.events and not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_later(WAKE_BACKGROUND_S, self._wake)

    def _wake(self) -> None:
        self._waking = False
        self.wake_background()

    def user_connected(self, user: int) -> None:
        """A user's first subscription was opened."""
        self.presence.connected(user)

    def user_disconnected(self, user: int) -> None:
        """A user's last subscription was closed."""
        self.presence.disconnected(user)

    def account_event(self, event: Event) -> None:
        """The hub tells that an account changed or tokens died, on any gateway: in force here from now on."""
        change = self.tokens.forget(event)
        if change.tokens is not None:
            self.hub.end(change.user, change.tokens, "dead")
        if change.status == "suspended":
            self.hub.end(change.user, None, "dead")

    def events_lost(self) -> None:
        """The hub tells that it has missed a part of the log, and so perhaps what accounts became."""
        self.tokens.forget_all()

    def trusts(self, peer: str) -> bool:
        """Whether a peer is a proxy whose X-Forwarded-For counts."""
        if not self.settings.trusted_proxies:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.settings.trusted_proxies)
