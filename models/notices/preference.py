"""What a person wants to hear of, and how: for each type of notification, in-app and by e-mail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import peewee

from models.identity.user import User
from models.log.event import Transaction
from models.notices import pending_mail
from models.store.database import Base, chunks, execute, placeholders, rows

EMAIL_DEFAULTS = {"account": "instant", "message": "hourly", "community": "instant", "admin": "off", "system": "off"}
TYPES = tuple(EMAIL_DEFAULTS)
IDS_A_QUERY = 500
EMAIL_FREQUENCIES = ("off", "instant", "hourly", "daily")


class Preference(Base):
    """What one person chose for one type; what was never chosen is not here."""

    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    type = peewee.CharField(max_length=16)
    in_app = peewee.BooleanField()
    email = peewee.CharField(max_length=8)

    class Meta:
        table_name = "preferences"
        primary_key = peewee.CompositeKey("user", "type")


class Choice(NamedTuple):
    """One type's."""

    in_app: bool
    email: str


def all_choices(user: int) -> dict[str, Choice]:
    """All types, with what was chosen or else the default."""
    found = find_choices([user])
    return {kind: found.get((user, kind), default_choice(kind)) for kind in TYPES}


def default_choice(kind: str) -> Choice:
    """What holds for who never chose."""
    return Choice(True, EMAIL_DEFAULTS[kind])


def find_choices(users: Collection[int]) -> dict[tuple[int, str], Choice]:
    """(user, type) -> what they chose, for those who did."""
    found: dict[tuple[int, str], Choice] = {}
    for part in chunks(sorted(users), IDS_A_QUERY):
        sql = f"SELECT user_id, type, in_app, email FROM preferences WHERE user_id IN ({placeholders(len(part))})"
        found |= {(user, kind): Choice(bool(in_app), email) for user, kind, in_app, email in rows(sql, part)}
    return found


def set_choices(tx: Transaction, user: int, choices: Mapping[str, Choice]) -> None:
    """Sets these types, also for what is still waiting to be mailed."""
    pending_mail.make_due_now(tx, user)
    for kind, choice in choices.items():
        execute(
            "INSERT INTO preferences (user_id, type, in_app, email) VALUES (?,?,?,?) ON CONFLICT (user_id, type) "
            "DO UPDATE SET in_app=excluded.in_app, email=excluded.email",
            (user, kind, choice.in_app, choice.email),
        )


def unsubscribe(tx: Transaction, user: int, kinds: Collection[str]) -> bool:
    """No more e-mail of these types; False when there is no such user or type."""
    if not set(kinds) <= set(TYPES) or not rows("SELECT 1 FROM users WHERE id=?", (user,)):
        return False
    now = all_choices(user)
    set_choices(tx, user, {kind: now[kind]._replace(email="off") for kind in kinds})
    return True
