"""The quiet hours of a user: setting them."""

from __future__ import annotations

from models.identity.user import Profile
from models.log.event import Transaction
from models.notices import pending_mail
from models.notices.quiet import Quiet, encode


def set_hours(tx: Transaction, user: int, quiet: Quiet | None) -> None:
    """Set a user's quiet hours, None for no such hours, also for mails that wait already."""
    Profile.update(quiet=None if quiet is None else encode(quiet)).where(Profile.user == user).execute()
    pending_mail.make_due_now(tx, [user])
