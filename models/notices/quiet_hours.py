"""The quiet hours of a user: setting them, and new times for what waits for their end."""

from __future__ import annotations

from collections.abc import Sequence

from models.identity.user import Profile
from models.log.event import Transaction
from models.notices import pending_mail, pushes
from models.notices.quiet import Quiet, encode


def set_hours(tx: Transaction, user: int, quiet: Quiet | None) -> None:
    """Set a user's quiet hours, None for no such hours, also for mails and pushes that wait already."""
    Profile.update(quiet=None if quiet is None else encode(quiet)).where(Profile.user == user).execute()
    recompute(tx, [user])


def recompute(tx: Transaction, users: Sequence[int]) -> None:
    """Make the mails and pushes due that wait for their times, since users' quiet hours or time zones have changed: new times
    follow."""
    pending_mail.make_due_now(tx, users)
    pushes.make_due_now(tx, users)
