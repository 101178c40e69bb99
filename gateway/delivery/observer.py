"""The interface by which the hub reports what concerns the rest of the gateway."""

from __future__ import annotations

from typing import Protocol

from models.log.event import Event


class HubObserver(Protocol):
    """Receives the hub's reports, on the loop's thread. The gateway's services implement it."""

    def account_event(self, event: Event) -> None:
        """An account changed or a token was revoked, on any gateway."""

    def user_connected(self, user: int) -> None:
        """A user's first subscription was opened."""

    def user_disconnected(self, user: int, silent_s: float) -> None:
        """A user's last subscription was closed. Their last sign of life was so many seconds ago."""

    def events_lost(self) -> None:
        """A part of the log was trimmed before the hub read it: account events may have been missed."""
