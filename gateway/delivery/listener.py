"""Who hears of what happens in the hub besides its waiters."""

from __future__ import annotations

from typing import Protocol

from models.log.event import Event


class Listener(Protocol):
    """The gateway's services, or a test."""

    def account_event(self, event: Event) -> None:
        """An account changed or a token died, on any gateway."""

    def watching(self, user: int, watches: bool) -> None:
        """A user's first poll was opened, or the last one ended."""

    def missed(self) -> None:
        """Accounts may have changed, of which nothing will be told."""
