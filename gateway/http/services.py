"""The services of one gateway process, which its handlers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from conf import Settings, parsing
from gateway.commit.committer import CommittedBatch, Committer
from gateway.commit.recorder import Recorder
from gateway.commit.threads import (
    HASHER_THREADS,
    MAX_HASHES_WAITING,
    MAX_READS_WAITING,
    READER_THREADS,
    BatchedRead,
    RehearsalPool,
    SearchPool,
    ThreadPool,
)
from gateway.delivery.bus import Bus
from gateway.delivery.hub import Hub
from gateway.delivery.presence import Presence
from gateway.delivery.tail import Tail
from gateway.delivery.whole_log import WholeLog
from gateway.http.client_address import is_within
from gateway.http.downloads import Downloads
from gateway.http.health import HealthMonitor
from gateway.http.login_failures import LoginFailures
from gateway.http.metrics_pages import MetricsPages
from gateway.http.places import Places
from gateway.http.rate_limits import RateLimits
from gateway.http.tokens import TokenCache
from gateway.http.traffic import Traffic
from gateway.http.uploads import Uploads
from models.blobs.opening import open_store
from models.identity import acting
from models.identity.acting import ActedFor
from models.identity.contacts import EVERYONE
from models.log import event
from models.log.event import Event
from models.store import facts
from models.store.errors import ActingError

MAX_EXPORTS_WAITING = 4  # each reads for seconds
MAX_EXPORTS_SENT = 20  # each has a file, and up to 20 MB in memory
EXPORT_WAIT_S = 30.0
WAKE_BACKGROUND_S = 0.01  # after a commit: another thread at once would compete for the GIL while the sends are being answered

if TYPE_CHECKING:
    from gateway.jwt.host_tokens import HostTokens


class Services:
    """Created on the loop's thread, with a migrated store. `read`, `search` and `hash` run functions on their pools' threads."""

    def __init__(self, settings: Settings, wake_background: Callable[[], None], pages: MetricsPages | None = None) -> None:
        self.settings = settings
        self.stopping = False
        self.is_replaced = False  # while stopping: another process serves in the place of this one
        self.metrics_pages = pages  # of this gateway and its siblings
        self.origins = frozenset(settings.allowed_origins)
        self.own_origin = parsing.origin(settings.url)
        self.rate_limits = RateLimits(settings)
        self.traffic = Traffic(settings)
        self.read = ThreadPool("reader", READER_THREADS, MAX_READS_WAITING)
        self.search = SearchPool()
        self.rehearse = RehearsalPool()
        self.hash = ThreadPool("hasher", HASHER_THREADS, MAX_HASHES_WAITING)
        self.recorder = Recorder()
        self.login_failures = LoginFailures(self.recorder)
        self.committer = Committer(self._on_commit)
        self.host_tokens = _host_tokens(settings, self.read, self.committer)
        self.export = ThreadPool("exporter", 1, MAX_EXPORTS_WAITING)
        self.export_blocks = ThreadPool("export-reader", 2, MAX_EXPORTS_SENT)  # a bucket may be slow
        self.export_places = Places("exports", MAX_EXPORTS_SENT, 2, MAX_EXPORTS_WAITING, EXPORT_WAIT_S)
        self.files = open_store(settings)
        self.uploads = Uploads(settings, self.files, self.committer)
        self.tokens = TokenCache(self.read, self.host_tokens)
        self.acted_for = BatchedRead[str, ActedFor | ActingError](
            lambda names: self.read(acting.find_all, names)
        )  # by `Bellwire-As`
        self.hub = Hub(facts.epoch(), event.head(), self.read, self)
        self.hub.max_polls_per_user = settings.open_polls_per_user
        self.hub.has_public_posts = settings.contacts == EVERYONE
        self.whole_log = WholeLog(self.hub, self.read)
        self.presence = Presence(self.recorder, self.read, self.hub.publish_ephemeral)
        self.tail = Tail(self.hub)
        self.hub.check_log = self.tail.check
        check_log = self.tail.check if settings.database_url is None else self.tail.check_on_this_thread
        self.bus = Bus(settings, self.hub, check_log, lambda: max(self.hub.head, self.committer.head))
        self.hub.forward_ephemeral = self.bus.publish_ephemeral
        if self.bus.channel is not None:
            self.rate_limits.share(self.bus.channel)
        self.health = HealthMonitor(self.read, self.committer)
        self.health.vital |= {"shutdown": lambda: self.stopping and not self.is_replaced, "store": lambda: self.tail.failing}
        self.health.parts |= {"bus": lambda: self.bus.down, "limits": self.rate_limits.counts_alone}
        if self.host_tokens is not None:
            self.health.parts["jwks"] = self.host_tokens.source.is_failing
        self.downloads = Downloads(self.files, in_bucket=settings.files_url.startswith("s3:"))
        self.assembled_bytes = 0  # of the items of lists that wait for further items
        self.legacy_polls: dict[int, Any] = {}
        self.wake_background = wake_background
        self.wake_mail: Callable[[], None] = lambda: None
        self.secret = settings.secret()
        self._wake_scheduled = False

    def start(self) -> None:
        """Start the threads."""
        self.committer.start(self.hub.head)
        self.tail.start()
        self.bus.start()
        event.on_append.append(self.bus.hint)

    def close(self) -> None:
        """Let the threads of the pools end after their current call."""
        pools = (self.read, self.search, self.rehearse, self.hash, self.export, self.export_blocks)
        for closing in (*pools, self.uploads, self.downloads, self.host_tokens):
            if closing is not None:
                closing.close()

    def _on_commit(self, committed: CommittedBatch) -> None:
        self.hub.publish(committed.after, committed.events, committed.at)
        if committed.events and not self._wake_scheduled:
            self._wake_scheduled = True
            asyncio.get_running_loop().call_later(WAKE_BACKGROUND_S, self._wake)

    def _wake(self) -> None:
        self._wake_scheduled = False
        self.wake_background()

    # Reports of the hub: see gateway/delivery/observer.py

    def account_event(self, event: Event) -> None:
        """Apply an account change of any gateway: drop cached tokens, and end the subscriptions of those that are dead."""
        change = self.tokens.apply(event)
        if change.tokens is not None:
            self.hub.end(change.user, change.tokens, "dead")
            self.hub.end_acting(change.user, change.tokens, "dead")
        if change.status == "suspended":
            self.hub.end(change.user, None, "dead", acting_reason="suspended")
        if change.status is not None and (change.status, change.role) != ("active", "admin"):
            self.hub.end_acting(change.user, None, "dead" if change.status == "suspended" else "superseded")
            self.hub.log_polls.end(change.user, None, "superseded")  # it is then refused: the user is no admin any more

    def user_connected(self, user: int) -> None:
        """A user's first subscription was opened."""
        self.presence.connected(user)

    def user_disconnected(self, user: int, silent_s: float) -> None:
        """A user's last subscription was closed. Their last sign of life was so many seconds ago."""
        self.presence.disconnected(user, silent_s)

    def events_lost(self) -> None:
        """Drop all cached tokens: account events may have been missed."""
        self.tokens.clear()

    def has_files_on_their_way(self) -> bool:
        """Whether clients are sending or receiving files, or exports."""
        return any(places.occupied for places in (self.uploads.places, self.downloads.places, self.export_places))

    def is_trusted_proxy(self, peer: str) -> bool:
        """Whether X-Forwarded-For and X-Forwarded-Proto of this peer count."""
        return is_within(peer, self.settings.trusted_proxies)


def _host_tokens(settings: Settings, read: ThreadPool, committer: Committer) -> HostTokens | None:
    """Return what accepts the host's tokens, if an issuer is set. Only then its cryptography is loaded: 10 MB."""
    if settings.jwt_issuer is None:
        return None
    from gateway.jwt.host_tokens import HostTokens

    return HostTokens(settings, read, committer)
