"""The bus between gateways: hints that there is something to read, and ephemeral events (typing, presence).

It is Redis' pub/sub. Without Redis, hints come by PostgreSQL's NOTIFY, and the gateways of one `serve` have its local channel for
ephemeral events and on SQLite for hints. Otherwise ephemeral events stay within a gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from conf import Settings
from gateway.delivery.hub import Hub
from gateway.delivery.listeners import BusListener, ChannelListener, NotifyListener, RedisListener
from jobs.infra import channel


class EphemeralMessage(msgspec.Struct):
    """An ephemeral event on its way to the other gateways.

    It is for `users`, or (None) for the followers of `stream`, except one user. `event` is EVENT as JSON. The JSON field names are
    what gateways of earlier versions read and write.
    """

    gateway: str = msgspec.field(name="by")
    users: list[int] | None
    stream: str
    except_user: int = msgspec.field(name="but")
    event_type: str = msgspec.field(name="kind")
    event: msgspec.Raw


class Bus:
    """This gateway's connection to the other gateways."""

    def __init__(self, settings: Settings, hub: Hub, check_log: Callable[[], None], known_head: Callable[[], int]) -> None:
        """`check_log` and `known_head` are those of BusListener."""
        self._hub = hub
        self._gateway = secrets.token_hex(4)
        self._loop = asyncio.get_running_loop()
        self._publisher: Any = None
        self._listeners: list[BusListener] = []
        self.channel: ChannelListener | None = None
        self._hints_by_channel = settings.database_url is None
        if settings.redis_url is not None:
            from jobs.infra.publisher import Publisher

            self._publisher = Publisher(settings.redis_url, hub.epoch)
            self._listeners.append(RedisListener(settings.redis_url, hub.epoch, check_log, known_head, self._receive_ephemeral))
        elif settings.database_url is not None:
            self._listeners.append(NotifyListener(check_log, known_head))
        if settings.redis_url is None and (path := channel.path()) is not None:
            self.channel = ChannelListener(path, check_log, known_head)
            self.channel.loop = self._loop
            self.channel.handlers[channel.EPHEMERAL] = lambda _, content: self._receive_ephemeral(content)
            self._listeners.append(self.channel)

    @property
    def down(self) -> bool:
        """Whether hints may be lost at the moment."""
        return any(part.down for part in self._parts)

    @property
    def _parts(self) -> list[Any]:
        return self._listeners if self._publisher is None else [self._publisher, *self._listeners]

    def hint(self, newest: int) -> None:
        """Announce the id of an event that was committed here. For PostgreSQL's own hints nothing is sent: NOTIFY is part of the
        commit."""
        if self._publisher is not None:
            self._publisher.hint(newest)
        elif self.channel is not None and self._hints_by_channel:
            self.channel.send(channel.HINT, b"%d" % newest)

    def publish_ephemeral(
        self, users: Collection[int] | None, stream: str, event_type: str, encoded: bytes, except_user: int
    ) -> None:
        """Send an ephemeral event to the other gateways, if something connects this one with them."""
        if self._publisher is None and self.channel is None:
            return
        recipients = None if users is None else list(users)
        message = msgspec.json.encode(
            EphemeralMessage(self._gateway, recipients, stream, except_user, event_type, msgspec.Raw(encoded))
        )
        if self._publisher is not None:
            self._publisher.publish_ephemeral(message)
        elif self.channel is not None:
            self.channel.send(channel.EPHEMERAL, message)

    def _receive_ephemeral(self, data: bytes) -> None:
        """Pass an ephemeral event of another gateway to the hub. Called on the listener's thread."""
        try:
            message = msgspec.json.decode(data, type=EphemeralMessage)
        except msgspec.MsgspecError:  # of another version
            return
        if message.gateway != self._gateway:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(
                    self._hub.deliver_ephemeral,
                    message.users,
                    message.stream,
                    message.event_type,
                    bytes(message.event),
                    message.except_user,
                )

    def start(self) -> None:
        """Start the threads."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Make the threads end soon."""
        for part in self._parts:
            part.stop()
